// Clients that take nothing, or are no longer there, on real sockets.

import { afterEach, describe, expect, it } from 'vitest'
import { RawClient } from '../../tests/support/backendClients.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { type Backend, createBackend } from './createBackend.ts'
import type { BackendOptions } from './options.ts'
import type { Responder } from './responder.ts'

let backend: Backend
const clients: RawClient[] = []
const start = async (options: BackendOptions) => {
  backend = await createBackend({ port: 0, ...options })
}
const open = (options: ConstructorParameters<typeof RawClient>[1] = {}) => {
  const made = new RawClient(backend.port, options)
  clients.push(made)
  return made.opened()
}
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate()
  await backend.close({ graceMs: 0 })
})

describe('a reader that does not read', () => {
  const chunk = 'x'.repeat(64 * 1024)

  /** Gives chunks for ever and counts them. */
  function flood() {
    const made = { chunks: 0 }
    const responder: Responder = {
      async *respond(_question, { signal }) {
        while (!signal.aborted) {
          made.chunks += 1
          yield chunk
        }
      },
    }
    return { made, responder }
  }

  /** Waits until nothing more is made. */
  async function stalled(made: { chunks: number }): Promise<number> {
    for (let last = -1; last !== made.chunks; ) {
      last = made.chunks
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return made.chunks
  }

  it('slows the responder down to its own pace', async () => {
    const { made, responder } = flood()
    await start({ responder })
    const user = await open()
    user.socket.pause()
    user.ask('q')
    await until(() => made.chunks > 0, 'the answer begins')
    const before = await stalled(made)
    // What the kernel takes for both sides, and no heap of ours.
    expect(before * chunk.length).toBeLessThan(32 * 2 ** 20)
    user.socket.resume()
    await until(() => made.chunks > before, 'it goes on')
    user.socket.pause()
    await stalled(made)
  })

  it('is given up with 1013 after the write timeout', async () => {
    const { made, responder } = flood()
    const clock = new VirtualClock()
    await start({ responder, clock, pingInterval: Infinity, writeTimeout: 5000 })
    const user = await open()
    user.socket.pause()
    user.ask('q')
    await until(() => made.chunks > 0, 'the answer begins')
    await stalled(made)
    await clock.advance(4999)
    expect(backend.getStats().replies).toBe(1)
    await clock.advance(1)
    await until(() => backend.getStats().replies === 0, 'the answer is given up')
    user.socket.resume()
    expect(await user.closing()).toEqual({ code: 1013, reason: 'too slow' })
    expect(clock.pending).toBe(0)
  })

  it('is given up with 1013 when small answers pile up', async () => {
    await start({ maxQueuedBytes: 1000, messagesPerSecond: 1e6 })
    const user = await open()
    user.socket.pause()
    // Each is answered with an error that names its id; the kernel takes some megabytes of them first.
    const wrong = JSON.stringify({ type: '?', id: 'x'.repeat(200) })
    for (let n = 0; n < 100_000; n += 1) {
      user.say(wrong)
      if (n % 2000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    user.socket.resume()
    expect(await user.closing()).toEqual({ code: 1013, reason: 'too slow' })
  })
})

describe('a client that is no longer there', () => {
  it('is ended when it has been silent from one ping to the next; who answers stays', async () => {
    const clock = new VirtualClock()
    await start({ clock, pingInterval: 1000 })
    const alive = await open()
    const dead = await open({ autoPong: false })
    let pings = 0
    alive.socket.on('ping', () => {
      pings += 1
    })
    for (let n = 1; n <= 3; n += 1) {
      await clock.advance(1000)
      // The pong has to come in before the next round.
      await until(() => pings === n, 'a ping')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(await dead.closing()).toMatchObject({ code: 1006 })
    expect(alive.closed).toBeUndefined()
    expect(backend.getStats().connections).toBe(1)
  })

  it('leaves no timer behind', async () => {
    const clock = new VirtualClock()
    await start({ clock, pingInterval: 1000 })
    const user = await open()
    expect(clock.pending).toBe(1)
    user.socket.close()
    await until(() => backend.getStats().connections === 0, 'it has gone')
    await clock.advance(1000)
    expect(clock.pending).toBe(0)
  })
})
