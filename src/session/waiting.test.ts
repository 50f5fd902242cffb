import { describe, expect, it } from 'vitest'
import { type Entry, NEVER } from './entry.ts'
import { newWaiting, Waiting } from './waiting.ts'

const entry = (seq: number): Entry => ({
  seq,
  stream: -1,
  payload: 'text',
  bytes: 4,
  priority: 0,
  expiresAt: NEVER,
})

describe('messages that wait', () => {
  it('keep their order when session after session is lost', () => {
    const waiting = new Waiting(newWaiting(), { maxQueueMessages: 9, maxQueueBytes: 99, overflow: 'reject' })
    waiting.add(entry(3))
    waiting.requeue([entry(1), entry(2)])
    // The next session had room for the first only, and is lost as well.
    waiting.requeue([waiting.shift() as Entry])
    expect(waiting.state.entries.map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(waiting.state.bytes).toBe(12)
  })
})
