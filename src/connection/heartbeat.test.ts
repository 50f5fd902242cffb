import { describe, expect, it } from 'vitest'
import { Heartbeat, type LineSigns, UNHEARD_MS } from './heartbeat.ts'

const timing = { pingInterval: 30_000, pongTimeout: 10_000 }
const signs: LineSigns = { buffered: 0, late: false, silenceKills: true }

describe('Heartbeat', () => {
  it('pings each interval, and silence for pongTimeout after a ping means dead', () => {
    const heartbeat = new Heartbeat(0, timing)
    expect(heartbeat.wakeAt).toBe(30_000)
    expect(heartbeat.wake(29_999, signs)).toBe('nothing')
    expect(heartbeat.wake(30_000, signs)).toBe('ping')
    expect(heartbeat.wakeAt).toBe(40_000)
    expect(heartbeat.wake(39_999, signs)).toBe('nothing')
    expect(heartbeat.wake(40_000, signs)).toBe('dead')
  })

  it('any frame is life', () => {
    const heartbeat = new Heartbeat(0, timing)
    heartbeat.wake(30_000, signs)
    heartbeat.heard()
    expect(heartbeat.wake(40_000, signs)).toBe('nothing')
    expect(heartbeat.wake(60_000, signs)).toBe('ping')
  })

  it('asks soon after a send that nothing follows', () => {
    const heartbeat = new Heartbeat(0, timing)
    heartbeat.sent(1000)
    expect(heartbeat.wakeAt).toBe(1000 + UNHEARD_MS)
    expect(heartbeat.wake(1000 + UNHEARD_MS, signs)).toBe('ping')
    expect(heartbeat.wake(1000 + UNHEARD_MS + 10_000, signs)).toBe('dead')
  })

  it('a server that never answers such pings is not killed for it', () => {
    const heartbeat = new Heartbeat(0, timing)
    heartbeat.wake(30_000, signs)
    expect(heartbeat.wake(40_000, { ...signs, silenceKills: false })).toBe('nothing')
    expect(heartbeat.wake(60_000, { ...signs, silenceKills: false })).toBe('ping')
  })

  it('a timer that fires far too late asks first: the machine slept, silence proves nothing', () => {
    const heartbeat = new Heartbeat(0, timing)
    heartbeat.wake(30_000, signs)
    expect(heartbeat.wake(4_000_000, { ...signs, late: true })).toBe('ping')
    expect(heartbeat.wake(4_009_999, signs)).toBe('nothing')
    expect(heartbeat.wake(4_010_000, signs)).toBe('dead')
  })

  it('but a tab whose every timer is late notices a dead line in the end', () => {
    const heartbeat = new Heartbeat(0, timing)
    const late = { ...signs, late: true }
    expect(heartbeat.wake(60_000, late)).toBe('ping')
    expect(heartbeat.wake(120_000, late)).toBe('dead')
  })

  it('a buffer that drains is life, too: the ping may stand behind a large message', () => {
    const heartbeat = new Heartbeat(0, timing)
    heartbeat.wake(30_000, { ...signs, buffered: 1000 })
    expect(heartbeat.wake(40_000, { ...signs, buffered: 500 })).toBe('nothing')
    expect(heartbeat.wake(50_000, { ...signs, buffered: 500 })).toBe('dead')
  })

  it('switched off it never wakes', () => {
    const off = { pingInterval: Number.POSITIVE_INFINITY, pongTimeout: 10 }
    const heartbeat = new Heartbeat(0, off)
    expect(heartbeat.wakeAt).toBe(Number.POSITIVE_INFINITY)
    expect(heartbeat.probe(1, 0)).toBe('nothing')
  })
})
