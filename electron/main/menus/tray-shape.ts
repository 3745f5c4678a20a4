import type { Severity, StatusCode } from '@tidemark/status/status';

/** The tray's icons, in electron/icons/tray. Each has its own shape, so that no meaning depends on colour alone. */
export const TRAY_SHAPES = ['plain', 'busy', 'warn', 'error', 'paused', 'outline'] as const;
export type TrayShape = (typeof TRAY_SHAPES)[number];

export function shapeOf(severity: Severity, code: StatusCode): TrayShape {
  if (code === 'paused') return 'paused';
  if (code === 'offline' || severity === 'unknown') return 'outline';
  if (severity === 'busy' || severity === 'warn' || severity === 'error') return severity;
  return 'plain';
}
