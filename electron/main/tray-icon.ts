import type { Severity } from '@tidemark/status/status';

/** Icons for the tray, told apart by shape and only then by colour. */
export type TrayShape = 'plain' | 'busy' | 'warn' | 'error' | 'paused' | 'outline';

const COLOURS: Record<TrayShape, readonly [red: number, green: number, blue: number]> = {
  plain: [0x2f, 0x9e, 0xb0],
  busy: [0x2f, 0x9e, 0xb0],
  warn: [0xe0, 0x8e, 0x1b],
  error: [0xd9, 0x3a, 0x3a],
  paused: [0x7b, 0x87, 0x94],
  outline: [0x7b, 0x87, 0x94],
};

export function shapeOf(severity: Severity, code: string): TrayShape {
  if (code === 'paused') return 'paused';
  if (code === 'offline' || severity === 'unknown') return 'outline';
  if (severity === 'busy' || severity === 'warn' || severity === 'error') return severity;
  return 'plain';
}

/** Whether a point of the unit square (from -1 to 1, y downwards) belongs to a shape. */
function covers(shape: TrayShape, x: number, y: number): boolean {
  const radius = Math.hypot(x, y);
  switch (shape) {
    // A disc with the wave of the mark cut out.
    case 'plain':
      return radius < 0.92 && Math.abs(y - 0.22 * Math.sin(x * 4.2)) > 0.13;
    case 'outline':
      return radius < 0.92 && radius > 0.66;
    // Two arrows, up and down.
    case 'busy': {
      const up = x < 0 ? y : -y;
      const across = Math.abs(Math.abs(x) - 0.45);
      return (across < 0.14 && up > -0.5 && up < 0.9) || (up >= -0.9 && up <= -0.25 && across < (up + 0.9) * 0.62);
    }
    case 'warn':
      return (
        y > -0.85 &&
        y < 0.85 &&
        Math.abs(x) < (y + 0.85) * 0.56 &&
        !(Math.abs(x) < 0.1 && ((y > -0.2 && y < 0.35) || (y > 0.48 && y < 0.66)))
      );
    case 'error':
      return radius < 0.95 && (Math.abs(x - y) < 0.3 || Math.abs(x + y) < 0.3);
    case 'paused':
      return Math.abs(y) < 0.85 && Math.abs(Math.abs(x) - 0.42) < 0.22;
  }
}

const SAMPLES = 4;

/** The icon as pixels: blue, green, red, alpha, premultiplied, row by row. */
export function drawTrayIcon(shape: TrayShape, size: number): Buffer {
  const [red, green, blue] = COLOURS[shape];
  const pixels = Buffer.alloc(size * size * 4);
  const at = (pixel: number, sample: number) => ((pixel + (sample + 0.5) / SAMPLES) / size) * 2 - 1;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      let hits = 0;
      for (let sample = 0; sample < SAMPLES * SAMPLES; sample++) {
        if (covers(shape, at(column, sample % SAMPLES), at(row, Math.floor(sample / SAMPLES)))) hits++;
      }
      const alpha = hits / (SAMPLES * SAMPLES);
      pixels.set([blue * alpha, green * alpha, red * alpha, 255 * alpha].map(Math.round), (row * size + column) * 4);
    }
  }
  return pixels;
}
