import { defineConfig } from 'vitest/config'

export default defineConfig({
  // '#...' imports of package.json resolve to src, not dist, in unit tests.
  resolve: { conditions: ['guru-source', 'node'] },
  ssr: { resolve: { conditions: ['guru-source', 'node'] } },
  test: {
    include: ['src/**/*.test.ts', 'tests/**/*.test.{ts,js}', 'apps/*/src/**/*.test.ts'],
    testTimeout: 20_000,
    // What tests import by the package's name is the built one, loaded by Node as users load it.
    server: { deps: { external: [/\/dist\//] } },
  },
})
