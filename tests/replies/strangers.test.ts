// Who may do what with whose reply, over HTTP.

import { request as rawRequest } from 'node:http'
import { type Backend, createBackend, Replies } from 'guru-comms/server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

let backend: Backend
let replies: Replies
let base: string

beforeAll(async () => {
  replies = new Replies({
    maxBodyBytes: 1000,
    maxReplyBytes: 2000,
    maxRepliesPerOwner: 5,
    maxReaders: 2,
    longPollMs: 300,
  })
  backend = await createBackend({
    port: 0,
    replies,
    authenticate: ({ headers }) => headers.authorization?.replace('Bearer ', ''),
  })
  base = `${backend.url}/v1/replies`
})
afterAll(async () => {
  await backend.close({ graceMs: 0 })
  await replies.close()
})

const as = (who: string, path: string, init: RequestInit = {}) =>
  fetch(`${base}/${path}`, { ...init, headers: { authorization: `Bearer ${who}`, ...init.headers } })
const text = { 'content-type': 'text/plain' }

describe('a reply over HTTP', () => {
  it('is for nobody without a name', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'])
      expect((await fetch(`${base}/any`, { method })).status).toBe(401)
  })

  it('of somebody else looks like none, whatever is tried', async () => {
    expect((await as('ada', 'hers', { method: 'PUT', headers: text, body: 'secret' })).status).toBe(201)
    const tries = [
      as('eve', 'hers'),
      as('eve', 'hers?offset=-1&live=sse'),
      as('eve', 'hers?offset=-1&live=long-poll'),
      as('eve', 'hers', { method: 'HEAD' }),
      as('eve', 'hers', { method: 'POST', headers: text, body: 'x' }),
      as('eve', 'hers', { method: 'POST', headers: { 'stream-closed': 'true' } }),
      as('eve', 'hers', { method: 'DELETE' }),
      as('eve', 'fork', { method: 'PUT', headers: { 'stream-forked-from': '/v1/replies/hers' } }),
    ]
    const there = await Promise.all(tries)
    expect(there.map(({ status }) => status)).toEqual(tries.map(() => 404))
    const missing = await as('eve', 'none')
    expect(await (there[0] as Response).text()).toBe(await missing.text())
    expect((await as('eve', 'hers', { method: 'PUT', headers: text })).status).toBe(403)
    expect(await (await as('ada', 'hers')).text()).toBe('secret')
  })

  it('that the server writes is read and stopped by its owner, and written by nobody', async () => {
    const writer = await replies.start({ id: 'local', owner: 'ada' })
    await writer.write('so far')
    const json = { 'content-type': 'application/json' }
    const forged = await as('ada', 'local', { method: 'POST', headers: json, body: '{"text":"forged"}' })
    expect(forged.status).toBe(403)
    expect((await as('ada', 'local', { method: 'DELETE' })).status).toBe(403)
    const events = await as('ada', 'local?offset=-1&live=sse')
    const stopped = await as('ada', 'local', { method: 'POST', headers: { 'stream-closed': 'true' } })
    expect(stopped.status).toBe(204)
    expect(stopped.headers.get('stream-closed')).toBe('true')
    const seen = await events.text()
    expect(seen).toContain('{"text":"so far"}')
    expect(seen).toContain('{"state":"stopped"}')
    expect(seen).toContain('"streamClosed":true')
    expect(writer.signal.aborted).toBe(true)
  })

  it.each([
    '../settings',
    'a/../../settings',
    'a//b',
    '%2e%2e/x',
    'a/%2E./x',
    '__ds/subscriptions/1',
    `${'x'.repeat(1100)}`,
  ])('the path %s is none of ours, and nothing of the backend is reached through it', async (path) => {
    // As it is: fetch would tidy it up.
    const status = await new Promise<number | undefined>((resolve, reject) => {
      rawRequest(
        {
          port: backend.port,
          path: `/v1/replies/${path}`,
          method: 'PUT',
          headers: { authorization: 'Bearer ada' },
        },
        (response) => {
          response.resume()
          resolve(response.statusCode)
        },
      )
        .on('error', reject)
        .end()
    })
    expect([400, 404, 405, 501]).toContain(status)
  })

  it('bodies, sizes, numbers and readers are bounded', async () => {
    const put = (id: string) => as('bob', id, { method: 'PUT', headers: text })
    expect((await put('b0')).status).toBe(201)
    const post = (body: string) => as('bob', 'b0', { method: 'POST', headers: text, body })
    expect((await post('x'.repeat(1001))).status).toBe(413)
    expect((await post('x'.repeat(1000))).status).toBe(204)
    expect((await post('x'.repeat(1000))).status).toBe(204)
    expect((await post('x')).status).toBe(413)
    const statuses = await Promise.all(
      ['b1', 'b2', 'b3', 'b4', 'b5'].map(async (id) => (await put(id)).status),
    )
    expect(statuses.filter((status) => status === 201).length).toBe(4)
    expect((await put('b9')).status).toBe(429)
    const tail = (await as('bob', 'b0', { method: 'HEAD' })).headers.get('stream-next-offset')
    const waits = await Promise.all(
      Array.from({ length: 6 }, () => as('bob', `b0?offset=${tail}&live=long-poll`)),
    )
    expect(waits.filter(({ status }) => status === 204).length).toBe(2)
    expect(waits.filter(({ status }) => status === 429).length).toBe(4)
    // They have left: others may come.
    expect((await as('bob', `b0?offset=${tail}&live=long-poll`)).status).toBe(204)
  })
})
