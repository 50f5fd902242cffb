import { describe, expect, it } from 'vitest'
import { agreedInterval, heard, heartbeatDue, heartbeatDueAt, newHeartbeat, UNASKED } from './heartbeat.ts'

const PONG_MS = 500

describe('the heartbeat of a session’s connection', () => {
  it('asks after an interval of silence; silence for pongTimeout after that means dead', () => {
    const state = newHeartbeat(1000, 0)
    expect(heartbeatDue(state, PONG_MS, 999)).toBe('nothing')
    expect(heartbeatDue(state, PONG_MS, 1000)).toBe('ping')
    expect(heartbeatDueAt(state, PONG_MS)).toBe(1500)
    expect(heartbeatDue(state, PONG_MS, 1499)).toBe('nothing')
    expect(heartbeatDue(state, PONG_MS, 1500)).toBe('dead')
  })

  it('any frame is life, and puts off the next question', () => {
    const state = newHeartbeat(1000, 0)
    heartbeatDue(state, PONG_MS, 1000)
    heard(state, 1400)
    expect(state.pingedAt).toBe(UNASKED)
    expect(heartbeatDueAt(state, PONG_MS)).toBe(2400)
  })

  it('a timer that fires far too late asks anew: the process stood still, what came in may wait to be read', () => {
    const state = newHeartbeat(1000, 0)
    heartbeatDue(state, PONG_MS, 1000)
    expect(heartbeatDue(state, PONG_MS, 60_000)).toBe('ping')
    expect(heartbeatDue(state, PONG_MS, 60_499)).toBe('nothing')
    expect(heartbeatDue(state, PONG_MS, 60_500)).toBe('dead')
  })

  it('keeps to the shorter of two wishes, and without any wish it never asks', () => {
    expect([agreedInterval(0, 0), agreedInterval(5, 0), agreedInterval(0, 7), agreedInterval(5, 7)]).toEqual([
      0, 5, 7, 5,
    ])
    const state = newHeartbeat(0, 0)
    expect([heartbeatDueAt(state, PONG_MS), heartbeatDue(state, PONG_MS, 1e9)]).toEqual([Infinity, 'nothing'])
  })
})
