// The short form of `npm run soak`, and that it would notice.

import { expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { LONG } from '../support/proofs.ts'
import { soak } from './Soak.ts'

it('sessions lose, double and reorder nothing in bad weather, plain lines double and reorder nothing', async () => {
  const seed = Number(process.env.GURU_SEED ?? 1)
  const { violations, faults, sessions, plain } = await soak({
    clients: 10,
    seconds: LONG ? 60 : 8,
    random: seededRandom(seed),
    log: () => {},
  })
  expect(violations).toEqual([])
  expect(faults.cut).toBeGreaterThan(0)
  expect(faults.swallowed).toBeGreaterThan(0)
  expect(sessions.sent).toBeGreaterThan(50)
  expect(sessions.handled).toBe(sessions.sent)
  expect(plain.handled).toBeGreaterThan(50)
  expect(plain.reconnections).toBeGreaterThan(0)
})
