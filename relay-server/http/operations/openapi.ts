import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import { Problem } from '@tidemark/protocol/errors';
import { z } from 'zod';
import type { Route } from '../routes/route.ts';

/**
 * Generates an OpenAPI 3.1 document from the routes that the relay serves: paths, roles, inputs and outputs. An input
 * field is a path parameter if the path names it, and a query parameter otherwise. docs/protocol.md describes request
 * bodies.
 */

/** Schema of a body that is not JSON. */
const BYTES = z.string().meta({ description: 'Bytes.' });

/** Returns the document. `version` is the relay's version. */
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
