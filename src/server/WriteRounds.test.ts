import { expect, it } from 'vitest'
import type { StoreWriter } from '../session/storeWriter.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { Alarms } from './Alarms.ts'
import { WriteRounds } from './WriteRounds.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function setUp() {
  const clock = new VirtualClock()
  const rounds = new WriteRounds(new Alarms(clock))
  const flushed: string[] = []
  // Nothing else of a writer is asked for.
  const writer = (name: string) => ({ flush: () => flushed.push(name) }) as unknown as StoreWriter
  return { clock, rounds, flushed, writer }
}

it('all that have something to record in a turn are written together, at its end', async () => {
  const { clock, rounds, flushed, writer } = setUp()
  rounds.add(writer('a'), false, clock.now())
  rounds.add(writer('b'), false, clock.now())
  await undefined
  expect(flushed).toEqual([])
  await turn()
  expect(flushed).toEqual(['a', 'b'])
  await turn()
  expect(flushed).toEqual(['a', 'b'])
})

it('what may come late comes once, within a second of the first', async () => {
  const { clock, rounds, flushed, writer } = setUp()
  const a = writer('a')
  rounds.add(a, true, clock.now())
  await clock.advance(900)
  rounds.add(a, true, clock.now())
  rounds.add(writer('b'), true, clock.now())
  expect(flushed).toEqual([])
  await clock.advance(100)
  expect(flushed).toEqual(['a', 'b'])
  rounds.add(a, true, clock.now())
  await clock.advance(1000)
  expect(flushed).toEqual(['a', 'b', 'a'])
})
