// How a backend ends.

import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { RawClient, rawSocket, upgradeHead } from '../../tests/support/backendClients.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { createBackend } from './createBackend.ts'
import type { Responder } from './responder.ts'

const never = () => new Promise<never>(() => {})
/** Says 'begun', and 'done' when told to. */
function waiting() {
  const more = Promise.withResolvers<void>()
  const responder: Responder = {
    async *respond() {
      yield 'begun '
      await more.promise
      yield 'done'
    },
  }
  return { responder, go: more.resolve }
}

describe('close', () => {
  it('takes nobody in any more, lets the running answer end, and says goodbye with 1001', async () => {
    const { responder, go } = waiting()
    const backend = await createBackend({ port: 0, responder })
    const [busy, idle] = await Promise.all([
      new RawClient(backend.port).opened(),
      new RawClient(backend.port).opened(),
    ])
    busy.ask('q')
    await until(() => busy.heard.length > 1, 'the answer begins')
    const closed = backend.close({ graceMs: 20_000 })
    expect(await idle.closing()).toEqual({ code: 1001, reason: 'the server is going away' })
    await expect(fetch(`${backend.url}/v1/health`)).rejects.toThrow()
    busy.ask('late')
    await until(() => busy.ended('late'), 'a late question is refused')
    go()
    expect(await busy.answer('q')).toBe('begun done')
    expect(await busy.closing()).toMatchObject({ code: 1001 })
    await closed
  })

  it('after the grace it ends the answer, and still says goodbye', async () => {
    const backend = await createBackend({ port: 0, responder: waiting().responder })
    const user = await new RawClient(backend.port).opened()
    user.ask('q')
    await until(() => user.heard.length > 1, 'the answer begins')
    await backend.close({ graceMs: 10 })
    expect(await user.closing()).toMatchObject({ code: 1001 })
    expect(user.ended('q')).toBe(true)
  })

  it('cuts who does not answer the goodbye, and who never ended its handshake', async () => {
    const backend = await createBackend({
      port: 0,
      authenticate: ({ headers }) => (headers.x ? never() : 'ada'),
    })
    const sockets = await Promise.all([
      rawSocket(backend.port, upgradeHead()),
      rawSocket(backend.port, upgradeHead('/ws', 'X: 1\r\n')),
      rawSocket(backend.port, upgradeHead('/other')),
      rawSocket(backend.port, 'GET /v1/health HTTP/1.1\r\n'),
      rawSocket(backend.port, ''),
    ])
    await until(() => backend.getStats().connections === 1, 'the first is open')
    await backend.close({ graceMs: 10 })
    for (const { socket } of sockets) socket.destroy()
  })

  it('lets a request that runs end, and does not wait for its kept connection', async () => {
    const answer = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const backend = await createBackend({
      port: 0,
      async onRequest(_request, response) {
        begun.resolve()
        await answer.promise
        response.end('fine')
        return true
      },
    })
    const { socket, text } = await rawSocket(
      backend.port,
      'GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n',
    )
    await begun.promise
    const ended = once(socket, 'end')
    const closed = backend.close({ graceMs: 15_000 })
    answer.resolve()
    await ended
    expect(text()).toContain('fine')
    socket.end()
    await closed
  })

  it('twice is once, and `await using` does it', async () => {
    const backend = await createBackend({ port: 0 })
    expect(backend.close()).toBe(backend.close())
    await backend[Symbol.asyncDispose]()
    await expect(fetch(backend.url)).rejects.toThrow()
  })

  it('a grace that is no time is refused', async () => {
    const backend = await createBackend({ port: 0 })
    expect(() => backend.close({ graceMs: -1 })).toThrow(/"graceMs"/)
    await backend.close({ graceMs: 0 })
  })
})
