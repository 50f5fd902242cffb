// Every attack on every server, in short: it lives, others are served meanwhile, and it holds no more than it may. How soon
// they are served is for `npm run attack` to say.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canRunFastApi } from '../faults/python.ts'
import { attacks } from './attacks.ts'
import { attack } from './run.ts'
import { Target, type TargetKind } from './Target.ts'

const scale = { connections: 30, ms: 200, brokenFrames: 150, brokenUpgrades: 50, seed: 1 }
const MOST_BYTES = 200 * 2 ** 20

const kinds: readonly TargetKind[] = ['createBackend', 'SessionServer', 'FastAPI']

for (const kind of kinds) {
  const canRun = kind !== 'FastAPI' || canRunFastApi('attacks on FastAPI')
  const against = attacks.filter(({ targets }) => !targets || targets.includes(kind))
  describe.skipIf(!canRun)(kind, () => {
    let target: Target
    beforeAll(async () => {
      target = await Target.start(kind)
    })
    afterAll(() => target.end())

    it.each(against.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
      // One process of Python has no turns to share out: fewer do for it.
      const connections = kind === 'FastAPI' ? 10 : scale.connections
      const { alive, missed, grownBytes, healthMs } = await attack(target, one, { ...scale, connections })
      expect({ alive, missed }).toEqual({ alive: true, missed: 0 })
      expect(healthMs.length).toBeGreaterThan(0)
      expect(grownBytes).toBeLessThan(MOST_BYTES)
    })
  })
}
