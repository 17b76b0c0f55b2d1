/**
 * Three projects, so that one of them can be run alone: `vitest run --project unit`. Immer freezes
 * what it makes (its default, and the CLI's opposite), so a test that writes a published state fails.
 */
import { defineConfig } from 'vitest/config';

const unit = ['test/**/*.test.ts'];
const property = ['test/property/**/*.test.ts', 'test/simulation/**/*.test.ts'];
const house = ['test/house/**/*.test.ts'];

export default defineConfig({
  test: {
    pool: 'threads',
    maxWorkers: 2,
    exclude: ['**/node_modules/**', '**/dist/**'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: unit,
          exclude: [...property, ...house, '**/dist/**'],
          testTimeout: 20_000,
        },
      },
      { extends: true, test: { name: 'property', include: property, testTimeout: 120_000 } },
      { extends: true, test: { name: 'house', include: house, testTimeout: 20_000 } },
    ],
  },
});
