import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import { Problem } from '@tidemark/protocol/errors';
import { z } from 'zod';
import type { Route } from '../routes/route.ts';

/**
 * Describes the API as an OpenAPI 3.1 document, from the routes that the relay serves: paths, roles, inputs and outputs. A
 * field of a route's input is a path parameter when the path names it, else a query parameter. Request bodies are described
 * in docs/protocol.md.
 */

/** Body of a route that does not answer in JSON. */
const BYTES = z.string().meta({ description: 'Bytes.' });

/** `version`: the relay's. */
export function openApi(routes: Route[], version: string): object {
  const registry = new OpenAPIRegistry();
  registry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  for (const route of routes) {
    const inPath = new Set([...route.path.pattern.matchAll(/:(\w+)/g)].map((match) => match[1] ?? ''));
    const part = (wanted: boolean) =>
      Object.fromEntries(
        Object.keys(route.input.shape).flatMap((key) => (inPath.has(key) === wanted ? [[key, true as const]] : [])),
      );
    const pick = (keys: Record<string, true>) => (Object.keys(keys).length > 0 ? route.input.pick(keys) : undefined);
    const params = pick(part(true));
    const query = pick(part(false));
    registry.registerPath({
      method: route.method === 'GET' ? 'get' : 'post',
      path: route.path.pattern.replace(/:(\w+)/g, '{$1}'),
      summary: route.summary,
      description: `Needs a token of the role ${route.role}.`,
      security: [{ token: [] }],
      request: {
        ...(params ? { params: params as z.ZodObject } : {}),
        ...(query ? { query: query as z.ZodObject } : {}),
      },
      responses: {
        200:
          route.kind === 'json'
            ? { description: 'The answer.', content: { 'application/json': { schema: route.output } } }
            : {
                description: 'The answer.',
                content: { [route.output.type]: { schema: route.output.schema ?? BYTES } },
              },
        default: { description: 'A refusal.', content: { 'application/problem+json': { schema: Problem } } },
      },
    });
  }
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: { title: 'Tidemark relay', version },
  });
}
