// `npm test` runs the quick projects; `npm run test:long` (--mode long) the proofs that take minutes each.

import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

/** Nothing but proof: they run with `--mode long` alone. */
const PROOFS = ['tests/exploration/{exploration,mutations}.test.ts']
/** Tests that do more when `GURU_PROOFS` says so: what keeps the processor busy, and real processes over time. */
const BUSY = [...PROOFS, 'tests/simulation/*.test.ts', 'tests/security/oracle.test.ts']
const LASTING = [
  'tests/faults/{fleet,sessionDeaths,sessionFreezes,sessionPage}.test.ts',
  'tests/redis/sharedLimit.test.ts',
  'tests/replies/durableStreams.test.ts',
  'tests/soak/soak.test.ts',
]
const BROWSERS = ['tests/browser/*.test.ts', 'tests/faults/sessionPage.test.ts']
const UNITS = ['src/**/*.test.ts', 'apps/*/src/**/*.test.ts']

type Project = NonNullable<TestProjectInlineConfiguration['test']>
const quick: Project[] = [
  // Beside their source: they leave nothing behind, so files of a worker share what they import.
  { name: 'units', include: UNITS, isolate: false },
  // Files of a worker share a browser.
  { name: 'browsers', include: BROWSERS, isolate: false },
  { name: 'whole', include: ['tests/**/*.test.{ts,js}'], exclude: [...BROWSERS, ...PROOFS] },
]
const env = { GURU_PROOFS: 'long' }
const long: Project[] = [
  { name: 'lasting', include: LASTING, env },
  { name: 'busy', include: BUSY, env, sequence: { groupOrder: 1 } },
]

export default defineConfig(({ mode }) => ({
  test: {
    maxWorkers: Math.max(2, availableParallelism()),
    projects: (mode === 'long' ? long : quick).map(({ exclude = [], ...project }) => ({
      // '#...' imports of package.json resolve to src, not dist, in unit tests.
      resolve: { conditions: ['guru-source', 'node'] },
      ssr: { resolve: { conditions: ['guru-source', 'node'] } },
      test: {
        ...project,
        exclude: [...configDefaults.exclude, ...exclude],
        // These end what hangs. They say nothing about how long a test may take: machines may be slow.
        testTimeout: mode === 'long' ? 1_200_000 : 180_000,
        hookTimeout: mode === 'long' ? 300_000 : 180_000,
        expect: { poll: { timeout: 60_000 } },
        // What tests import by the package's name is the built one, loaded by Node as users load it.
        server: { deps: { external: [/\/dist\//] } },
      },
    })),
  },
}))
