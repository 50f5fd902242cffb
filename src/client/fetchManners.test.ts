// What `client.fetch` does beyond the platform's: on both transports where it can differ. What it does alike is in
// tests/http/fetchStandard.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import NodeForm from 'form-data'
import * as undici from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientFor, failureOf, serve, transports } from '../../tests/support/apiClients.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { USER_AGENT } from '../core/version.ts'
import { READ_AHEAD_BYTES } from './readAhead.ts'

const reason = new Error('enough')

it('names itself as package.json does', () => {
  const { name, version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  expect(USER_AGENT).toBe(`${name}/${version.split('.').slice(0, 2).join('.')}`)
})

describe.each(transports)('client.fetch on %s', (name, make) => {
  it('names itself in calls and fetches, unless the client or the call says otherwise', async () => {
    const agents: unknown[] = []
    const { server, client } = await serve(
      (request, response) => {
        agents.push(request.headers['user-agent'])
        response.end()
      },
      {},
      make,
    )
    await client.get('/')
    await client.fetch(server.origin)
    await client.get('/', { headers: { 'User-Agent': 'me' } })
    const other = clientFor({ baseURL: server.origin, headers: { 'user-agent': 'app' } }, make)
    await other.fetch(server.origin)
    expect(agents).toEqual([USER_AGENT, USER_AGENT, 'me', 'app'])
  })

  it('resolves a relative URL against the base', async () => {
    const { client, server } = await serve((request, response) => response.end(request.url), {}, make)
    const response = await client.fetch('/a?b', { mode: 'cors' })
    expect([await response.text(), response.url]).toEqual(['/a?b', `${server.origin}/a?b`])
  })

  it('sends the small body of a Request again, with its length', async () => {
    const seen: string[] = []
    const { server, client } = await serve(
      (request, response, count) => {
        seen.push(`${request.headers['content-length']} ${request.headers['content-type']} ${request.body}`)
        response.writeHead(count % 2 ? 503 : 200, { 'retry-after': '0' }).end()
      },
      {},
      make,
    )
    const form = new FormData()
    form.append('a', 'b')
    for (const body of ['text', new Blob(['blob'], { type: 'a/b' }), new Uint8Array([97]), form])
      expect((await client.fetch(new Request(server.origin, { method: 'PUT', body }))).status).toBe(200)
    expect(seen).toHaveLength(8)
    for (let index = 0; index < 8; index += 2) {
      expect(seen[index]).toMatch(/^\d/)
      expect(seen[index + 1]).toBe(seen[index])
    }
  })

  it('streams the large body of a Request, and sends it once', async () => {
    const lengths: number[] = []
    const { server, client } = await serve(
      (request, response) => {
        lengths.push(request.body.byteLength)
        response.writeHead(503).end()
      },
      {},
      make,
    )
    const body = new Uint8Array(READ_AHEAD_BYTES + 1)
    const response = await client.fetch(new Request(server.origin, { method: 'PUT', body }))
    expect([response.status, lengths]).toEqual([503, [body.byteLength]])
  })

  it('does not hold up a Request that is still being written', async () => {
    const client = clientFor({}, make)
    let finish = () => {}
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('begun'))
        finish = () => {
          controller.enqueue(new TextEncoder().encode(' done'))
          controller.close()
        }
      },
    })
    let heard = ''
    const listener = createServer((request, response) => {
      request.on('data', (chunk) => {
        heard += chunk
        if (heard === 'begun') finish()
      })
      request.on('end', () => response.end(heard))
    })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      listener.closeAllConnections()
      listener.close()
    })
    const { port } = listener.address() as AddressInfo
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit
    expect(await (await client.fetch(new Request(`http://127.0.0.1:${port}/`, init))).text()).toBe(
      'begun done',
    )
  })

  it('takes the Request of another copy of fetch', async () => {
    const { server, client } = await serve(
      (request, response) => response.end(`${request.method} ${request.headers['x-a']} ${request.body}`),
      {},
      make,
    )
    const make2 = () =>
      new undici.Request(server.origin, {
        method: 'PUT',
        headers: { 'x-a': '1' },
        body: 'body',
      }) as unknown as Request
    expect(await (await client.fetch(make2())).text()).toBe('PUT 1 body')
    expect(await (await client.fetch(make2(), { method: 'POST' })).text()).toBe('POST 1 body')
    const read = make2()
    await read.text()
    expect(await failureOf(client.fetch(read))).toBeInstanceOf(TypeError)
    // A copy that has nothing of the platform's but its shape.
    const shape = {
      [Symbol.toStringTag]: 'Request',
      url: server.origin,
      method: 'PUT',
      headers: new Headers({ 'x-a': '2' }),
      body: { getReader: () => new Blob(['shape']).stream().getReader() },
      bodyUsed: false,
      redirect: 'follow',
      integrity: '',
      signal: undefined,
    }
    expect(await (await client.fetch(shape as unknown as Request)).text()).toBe('PUT 2 shape')
  })

  it('takes the form of the package form-data, and a body made anew for every attempt', async () => {
    const bodies: string[] = []
    const { server, client } = await serve(
      (request, response, count) => {
        bodies.push(request.body.toString())
        response.writeHead(count === 2 ? 503 : 200).end()
      },
      {},
      make,
    )
    const form = new NodeForm()
    form.append('a', 'b')
    await client.fetch(server.origin, { method: 'POST', body: form as unknown as BodyInit })
    await client.fetch(server.origin, { method: 'PUT', body: (() => 'made') as unknown as BodyInit })
    expect(bodies[0]).toMatch(/name="a"\r\n\r\nb\r\n/)
    expect(bodies.slice(1)).toEqual(['made', 'made'])
  })

  it('refuses a length that the body does not have', async () => {
    const { server, client } = await serve((_request, response) => response.end(), {}, make)
    for (const body of ['body', new Uint8Array(4), new Blob(['body'])]) {
      for (const length of ['0', '3', '5']) {
        const init = { method: 'POST', body, headers: { 'content-length': length } }
        expect(await failureOf(client.fetch(server.origin, init))).toBeInstanceOf(TypeError)
      }
    }
    expect(server.requests).toBe(0)
  })

  it('can take the place of the global fetch', async () => {
    const { server, client } = await serve((_request, response) => response.end('hello'), {}, make)
    const { fetch } = globalThis
    onTestFinished(() => {
      globalThis.fetch = fetch
    })
    globalThis.fetch = client.fetch
    expect(await (await globalThis.fetch('data:,there')).text()).toBe('there')
    expect(await (await globalThis.fetch(server.origin)).text()).toBe('hello')
    expect(await client.get('/')).toBe('hello')
  })

  it('refuses a dispatcher for one call, saying where it belongs', async () => {
    const { server, client } = await serve((_request, response) => response.end(), {}, make)
    const error = await failureOf(client.fetch(server.origin, { dispatcher: {} } as RequestInit))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toMatch(/"dispatcher".*option of the client/)
  })

  it('tells its own errors in the body, too, as a TypeError unless time ran out', async () => {
    const { server, client } = await serve(
      (request, response) => {
        response.write('x')
        if (request.url === '/large') response.end('x'.repeat(200_000))
      },
      { idleTimeout: 30, maxResponseBytes: 100_000 },
      make,
    )
    const silent = await client.fetch(`${server.origin}/silent`)
    expect(await failureOf(silent.text())).toMatchObject({ name: 'TimeoutError', phase: 'idle' })
    const large = await failureOf(client.fetch(`${server.origin}/large`).then((response) => response.text()))
    expect(large).toBeInstanceOf(TypeError)
    expect(large.cause).toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    const open = await client.fetch(`${server.origin}/silent`)
    const reading = failureOf(open.text())
    client.dispose()
    expect(await reading).toMatchObject({ code: 'DISPOSED' })
  })

  it('has the limit of redirects that the client was given, where it was given one', async () => {
    const { server, client } = await serve(
      (request, response) => response.writeHead(302, { location: `${request.url}x` }).end(),
      { maxRedirects: 3 },
      make,
    )
    const error = await failureOf(client.fetch(`${server.origin}/`))
    expect([error instanceof TypeError, error.cause.code, server.requests]).toEqual([
      true,
      'TOO_MANY_REDIRECTS',
      4,
    ])
  })

  it('keeps nothing of an answer that nobody reads and that is there already', async () => {
    const { server, client } = await serve((_request, response) => response.end('small'), {}, make)
    const { signal } = new AbortController()
    for (let call = 0; call < 20; call += 1) await client.fetch(server.origin, { signal })
    if (name === 'undici') expect(client.getStats().inFlight).toBe(0)
    expect(server.connections).toBeLessThanOrEqual(name === 'undici' ? 2 : 20)
  })

  it('cancels a body that is a stream, whether or not it was being sent', async () => {
    const { server, client } = await serve(() => {}, {}, make)
    for (const when of ['before', 'while'] as const) {
      const controller = new AbortController()
      let cancelled: unknown
      const body = new ReadableStream({
        pull(output) {
          output.enqueue(new Uint8Array(10))
          if (when === 'while') queueMicrotask(() => controller.abort(reason))
          return new Promise(() => {})
        },
        cancel(why) {
          cancelled = why
        },
      })
      if (when === 'before') controller.abort(reason)
      const init = { method: 'POST', body, duplex: 'half', signal: controller.signal } as RequestInit
      expect(await failureOf(client.fetch(server.origin, init))).toBe(reason)
      await until(() => cancelled !== undefined, 'the body is cancelled')
      expect(cancelled).toBe(reason)
    }
  })
})
