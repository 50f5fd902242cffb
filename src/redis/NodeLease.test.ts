import { describe, expect, it } from 'vitest'
import { ModelEngine, type ModelLine, ModelServer } from '../../tests/support/ModelServer.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { EngineLink } from './EngineLink.ts'
import { NodeLease } from './NodeLease.ts'

const LEASE_MS = 3000

function make(line: ModelLine = { delayMs: () => 1, loses: () => false }) {
  const clock = new VirtualClock()
  const server = new ModelServer(clock)
  const link = new EngineLink(new ModelEngine(server, clock, line), clock, 1000)
  const lapsed: string[] = []
  const settings = { prefix: 'p:', store: 'me', leaseMs: LEASE_MS }
  const lease = new NodeLease(link, settings, clock, (node) => lapsed.push(node))
  const enter = async (withinMs = 1000) => {
    const entered = lease.enter(withinMs)
    entered.catch(() => {})
    await clock.advance(2 * withinMs)
    await entered
  }
  const lives = (node: string) => server.execute(['EXISTS', `p:node:${node}`]) === 1
  return { clock, server, lease, lapsed, enter, lives }
}

describe('the lease of a node', () => {
  it('holds for as long as it is renewed', async () => {
    const { clock, lease, lapsed, enter, lives } = make()
    expect(lease.holds).toBe(false)
    await enter()
    expect([lease.holds, lease.node, lives('me.1')]).toEqual([true, 'me.1', true])
    await clock.advance(100 * LEASE_MS)
    expect([lease.holds, lapsed, lives('me.1')]).toEqual([true, [], true])
  })

  it('is over here before it is over in the engine', async () => {
    let isAway = false
    const { clock, lease, lapsed, enter, lives } = make({ delayMs: () => 1, loses: () => isAway })
    await enter()
    isAway = true
    let overHere = 0
    while (lives('me.1')) {
      await clock.advance(10)
      if (!lease.holds) overHere += 1
    }
    expect(overHere).toBeGreaterThan(10)
    expect([lapsed, lease.lapses, lease.node]).toEqual([['me.1'], 1, ''])
  })

  it('is looked at by the clock, not by a timer: a process that stood still knows at once', async () => {
    const { clock, lease, lapsed, enter } = make()
    await enter()
    clock.sleep(LEASE_MS)
    expect([lease.holds, lapsed]).toEqual([false, []])
    // Not within the step that asked.
    await clock.advance(0)
    expect(lapsed).toEqual(['me.1'])
  })

  it('that has run out never holds again: the next has another name', async () => {
    const { clock, lease, enter, lives } = make()
    await enter()
    clock.sleep(2 * LEASE_MS)
    await clock.advance(0)
    await enter()
    expect([lease.node, lives('me.1'), lives('me.2')]).toEqual(['me.2', false, true])
  })

  it('is over when the engine knows nothing of it any more', async () => {
    const { clock, server, lease, lapsed, enter } = make()
    await enter()
    server.execute(['DEL', 'p:node:me.1'])
    await clock.advance(LEASE_MS / 2)
    expect([lease.holds, lapsed]).toEqual([false, ['me.1']])
  })

  it('cannot be had while the engine is away, or slower than the lease: in time, and with a reason', async () => {
    const away = make({ delayMs: () => 1, loses: () => true })
    await expect(away.enter()).rejects.toMatchObject({ code: 'STORAGE', reason: 'unavailable' })
    const slow = make({ delayMs: () => 900, loses: () => false })
    await expect(slow.enter(20_000)).rejects.toMatchObject({ code: 'STORAGE', reason: 'unavailable' })
  })

  it('given up is over at once, for others too', async () => {
    const { clock, lease, lapsed, enter, lives } = make()
    await enter()
    const left = lease.leave()
    await clock.advance(10)
    await left
    expect([lease.holds, lives('me.1'), lapsed]).toEqual([false, false, []])
    const closed = lease.close()
    await clock.advance(10)
    await closed
    await expect(lease.enter(10)).rejects.toMatchObject({ reason: 'closed' })
    expect(clock.pending).toBe(0)
  })

  it('says that the engine does not answer well before it runs out, and that it does again', async () => {
    let away = false
    const { clock, lease, enter } = make({ delayMs: () => 1, loses: () => away })
    expect(lease.isAnswered).toBe(true)
    await enter()
    await clock.advance(LEASE_MS)
    expect([lease.holds, lease.isAnswered]).toEqual([true, true])
    away = true
    await clock.advance(LEASE_MS * 0.6)
    expect([lease.holds, lease.isAnswered]).toEqual([true, false])
    away = false
    await clock.advance(LEASE_MS / 3)
    expect([lease.holds, lease.isAnswered]).toEqual([true, true])
  })
})
