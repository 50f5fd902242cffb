// Whole fleets under random faults, in virtual time. A failing seed replays: npm run simulate -- --fleet --seed N --log

import { expect, it } from 'vitest'
import { LONG } from '../support/proofs.ts'
import { FleetWorld } from './fleetWorld.ts'

const RUNS = LONG ? 1000 : 100
const PARTS = 4

it.each(Array.from({ length: PARTS }, (_, part) => 1 + (part * RUNS) / PARTS))(
  `${RUNS / PARTS} lives of a fleet from seed %i: nothing is lost, doubled or out of order, and no node acts that has lost its lease`,
  async (first) => {
    let takeovers = 0
    let lapses = 0
    for (let seed = first; seed < first + RUNS / PARTS; seed += 1) {
      const report = await new FleetWorld(seed).run()
      expect(report.violations, `npm run simulate -- --fleet --seed ${seed} --log`).toEqual([])
      takeovers += report.takeovers
      lapses += report.lapses
    }
    expect(takeovers).toBeGreaterThan(RUNS / PARTS)
    expect(lapses).toBeGreaterThan(0)
  },
)

it('the same seed is the same life', async () => {
  const lives: string[][] = [[], []]
  for (const lines of lives)
    await new FleetWorld(7, (line) => lines.push(line.replace(/session \S+/, 'session'))).run()
  expect(lives[0]).toEqual(lives[1])
  expect(lives[0]?.length).toBeGreaterThan(10)
})
