import { afterEach, describe, expect, it } from 'vitest'
import { RawClient } from '../../tests/support/backendClients.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { type Backend, createBackend } from './createBackend.ts'
import { Faults } from './faults.ts'

describe('the switches', () => {
  it('fail a share of requests', () => {
    const draws = [0.1, 0.29, 0.3, 0.9]
    const faults = new Faults(new VirtualClock(), () => draws.shift() ?? 1)
    expect(faults.failsNow()).toBe(false)
    faults.set({ failRate: 0.3 })
    expect([1, 2, 3, 4].map(() => faults.failsNow())).toEqual([true, true, false, false])
    faults.set({ failRate: 0 })
    expect(faults.failsNow()).toBe(false)
  })

  it('are gone for a time, and back by themselves', async () => {
    const clock = new VirtualClock()
    const faults = new Faults(clock, () => 0)
    expect(faults.set({ refuseMs: 10_000 })).toBe(true)
    await clock.advance(9_999)
    expect(faults.refusing).toBe(true)
    expect(faults.state).toEqual({ failRate: 0, latencyMs: 0, refusingMs: 1 })
    await clock.advance(1)
    expect(faults.refusing).toBe(false)
  })

  it('take longer', async () => {
    const clock = new VirtualClock()
    const faults = new Faults(clock, () => 0)
    expect(faults.delay()).toBeUndefined()
    expect(faults.set({ latencyMs: 2000 })).toBe(false)
    let over = false
    void faults.delay()?.then(() => {
      over = true
    })
    await clock.advance(1999)
    expect(over).toBe(false)
    await clock.advance(1)
    expect(over).toBe(true)
  })

  it.each([
    [null, /object/],
    [{ cut: 1 }, /"cut"/],
    [{ failRate: 1.1 }, /"failRate" must be a number from 0 to 1/],
    [{ latencyMs: '5' }, /"latencyMs"/],
    [{ refuseMs: -1 }, /"refuseMs"/],
    [{ explode: 1 }, /no fault "explode"/],
    [{ toString: 1 }, /no fault "toString"/],
  ])('%j is refused, and nothing is switched', (request, message) => {
    const faults = new Faults(new VirtualClock(), () => 0)
    expect(() => faults.set(request)).toThrow(message)
    expect(() => faults.set({ failRate: 0.5, ...(request as object), wrong: true })).toThrow()
    expect(faults.state).toEqual({ failRate: 0, latencyMs: 0, refusingMs: 0 })
  })
})

describe('a backend with faults', () => {
  let backend: Backend
  afterEach(() => backend.close({ graceMs: 0 }))
  const set = (faults: object, headers = {}) =>
    fetch(`${backend.url}/__faults`, { method: 'POST', body: JSON.stringify(faults), headers })
  const health = () => fetch(`${backend.url}/v1/health`)

  it('has no such route unless it was asked for', async () => {
    backend = await createBackend({ port: 0 })
    expect((await set({ cut: true })).status).toBe(404)
  })

  it('cuts the line without a word, and lets it come back', async () => {
    backend = await createBackend({ port: 0, faults: true })
    const user = await new RawClient(backend.port).opened()
    expect(await (await set({ cut: true })).json()).toEqual({ failRate: 0, latencyMs: 0, refusingMs: 0 })
    expect(await user.closing()).toMatchObject({ code: 1006 })
    const again = await new RawClient(backend.port).opened()
    again.socket.terminate()
  })

  it('is gone while it refuses, but for the switch', async () => {
    const clock = new VirtualClock()
    backend = await createBackend({ port: 0, faults: true, clock })
    const user = await new RawClient(backend.port).opened()
    await set({ refuseMs: 10_000 })
    await user.closing()
    await expect(health()).rejects.toThrow()
    const refused = new RawClient(backend.port)
    expect(await refused.closing()).toMatchObject({ code: 1006 })
    await clock.advance(10_000)
    expect((await health()).status).toBe(200)
  })

  it('answers 503 to the share that was asked for', async () => {
    backend = await createBackend({ port: 0, faults: true })
    await set({ failRate: 1 })
    expect((await health()).status).toBe(503)
    await set({ failRate: 0 })
    expect((await health()).status).toBe(200)
  })

  it('is slow on both lines, and keeps the order of messages when it is fast again', async () => {
    const clock = new VirtualClock()
    backend = await createBackend({ port: 0, faults: true, clock, pingInterval: Infinity })
    const user = await new RawClient(backend.port).opened()
    await set({ latencyMs: 2000 })
    const answer = health()
    user.say({ type: 'ping', timestamp: 1 })
    await until(() => clock.pending === 2, 'both are held back')
    await set({ latencyMs: 0 })
    user.say({ type: 'ping', timestamp: 2 })
    user.socket.ping()
    await until(() => user.pongs.length === 1, 'all has been heard')
    expect(user.heard).toEqual([])
    await clock.advance(2000)
    expect((await answer).status).toBe(200)
    await until(() => user.heard.length === 2, 'both pongs')
    expect(user.heard.map(({ timestamp }) => timestamp)).toEqual([1, 2])
    user.socket.terminate()
  })

  it('takes no orders from pages of other sites', async () => {
    backend = await createBackend({ port: 0, faults: true })
    expect((await set({ failRate: 1 }, { origin: 'https://evil.example' })).status).toBe(403)
    expect((await health()).status).toBe(200)
  })
})
