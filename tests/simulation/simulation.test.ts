// Whole clients and servers under random faults, in virtual time. A failing seed replays: npm run simulate -- --seed N --log

import { expect, it } from 'vitest'
import { LONG } from '../support/proofs.ts'
import { World } from './world.ts'

const RUNS = LONG ? 20_000 : 1000
const PARTS = 10

it.each(Array.from({ length: PARTS }, (_, part) => 1 + (part * RUNS) / PARTS))(
  `${RUNS / PARTS} lives from seed %i: nothing is lost, doubled or out of order`,
  async (first) => {
    for (let seed = first; seed < first + RUNS / PARTS; seed += 1) {
      const { violations } = await new World(seed).run()
      expect(violations, `npm run simulate -- --seed ${seed} --log`).toEqual([])
    }
  },
)

it('the same seed is the same life', async () => {
  const lives: string[][] = [[], []]
  for (const lines of lives)
    await new World(7, (line) => lines.push(line.replace(/session \S+/, 'session'))).run()
  expect(lives[0]).toEqual(lives[1])
  expect(lives[0]?.length).toBeGreaterThan(20)
})

it('a checker that sees everything would say so: a message that is swallowed is reported', async () => {
  const { History } = await import('../../src/testing/History.ts')
  const history = new History()
  history.sent('a')
  history.sent('b')
  history.sent('c')
  history.handled('b', false)
  history.handled('b', false)
  history.handled('a', false)
  expect(history.check()).toEqual([
    '"b" was handled twice by one process',
    '"a" was handled after a later one',
    '"c" was accepted and neither handled nor reported',
  ])
})
