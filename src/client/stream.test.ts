// stream() and schema, against real servers.

import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type ReadRequest, startServer, type TestServer } from '../../tests/support/misbehavingServer.ts'
import { ApiClient, type ApiClientOptions, type ServerSentEvent } from '../ApiClient.ts'
import type { StandardSchema } from '../core/standardSchema.ts'
import { NdjsonDecoder, SseDecoder } from '../http/serverSentEvents.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function setUp(
  handle: (request: ReadRequest, response: ServerResponse, server: TestServer) => void,
  options: ApiClientOptions = {},
) {
  const server: TestServer = await startServer((request, response) => handle(request, response, server))
  const client = new ApiClient({ baseURL: server.origin, retryDelay: 1, ...options })
  cleanups.push(
    () => server.close(),
    () => client.dispose(),
  )
  return { server, client }
}

const sse = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
async function collect<T>(events: AsyncIterable<T>, atMost = Number.POSITIVE_INFINITY): Promise<T[]> {
  const seen: T[] = []
  for await (const event of events) {
    seen.push(event)
    if (seen.length >= atMost) break
  }
  return seen
}

describe('SseDecoder', () => {
  const text =
    ': comment\nid: 1\ndata: Grüß\ndata: Gott\n\nevent: end\r\ndata\r\n\r\nid: 2\nretry: 50\n\ndata: cut off'

  it('however the text is cut, the events are the same', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), (cuts) => {
        const position = { lastEventId: '', retryMs: undefined as number | undefined }
        const decoder = new SseDecoder(position)
        const places = [0, ...cuts.sort((one, other) => one - other), text.length]
        for (let index = 1; index < places.length; index += 1)
          decoder.feed(text.slice(places[index - 1], places[index]))
        decoder.finish()
        const events: ServerSentEvent[] = []
        for (let next = decoder.take(); next; next = decoder.take()) events.push(next.item)
        expect(events).toEqual([
          { event: 'message', data: 'Grüß\nGott', id: '1' },
          { event: 'end', data: '', id: '1' },
        ])
        expect(position).toEqual({ lastEventId: '1', retryMs: 50 })
      }),
    )
  })
})

describe('NdjsonDecoder', () => {
  it('gives a value a line, skips empty lines, and takes the last one without its line end', () => {
    const decoder = new NdjsonDecoder<unknown>()
    decoder.feed('{"a":')
    decoder.feed('1}\n\n[2]\r\n"th')
    decoder.feed('ree"')
    decoder.finish()
    expect([decoder.take(), decoder.take(), decoder.take(), decoder.take()]).toEqual([
      { item: { a: 1 } },
      { item: [2] },
      { item: 'three' },
      undefined,
    ])
  })
})

describe('stream', () => {
  it('gives events as they come, characters cut in the middle included', async () => {
    const { client } = await setUp((request, response) => {
      expect(request.headers.accept).toBe('text/event-stream')
      sse(response)
      for (const byte of Buffer.from('id: 7\ndata: Grüße 🙂\n\nevent: done\ndata: x\n\n'))
        response.write(Buffer.from([byte]))
      response.end()
    })
    expect(await collect(client.stream('/events'))).toEqual([
      { event: 'message', data: 'Grüße 🙂', id: '7' },
      { event: 'done', data: 'x', id: '7' },
    ])
  })

  it('posts a body, runs the request interceptors, and counts under the category streaming', async () => {
    const { client } = await setUp((request, response) => {
      sse(response).end(`data: ${request.method} ${request.body} ${request.headers['x-trace']}\n\n`)
    })
    client.addRequestInterceptor((config) => {
      config.headers['x-trace'] = 'abc'
    })
    const events = await collect(client.stream('/chat', { method: 'POST', data: { q: 1 } }))
    expect(events.map(({ data }) => data)).toEqual(['POST {"q":1} abc'])
    expect([...client.rateLimiter.buckets.keys()]).toEqual(['streaming\nPOST /chat'])
  })

  it('reads lines of JSON, and says when one is none', async () => {
    const { client } = await setUp((request, response) => {
      response.end(request.url === '/good' ? '{"n":1}\n{"n":2}\n' : '{"n":1}\nnot json\n')
    })
    expect(await collect(client.stream<{ n: number }>('/good', { format: 'ndjson' }))).toEqual([
      { n: 1 },
      { n: 2 },
    ])
    await expect(collect(client.stream('/bad', { format: 'ndjson' }))).rejects.toMatchObject({
      code: 'BAD_RESPONSE',
    })
  })

  it('an answer that is no event stream is an error, and so is a status', async () => {
    const { client } = await setUp(
      (request, response) => {
        if (request.url === '/missing') response.writeHead(404)
        response.end('<html>')
      },
      { retries: 0 },
    )
    await expect(collect(client.stream('/page'))).rejects.toThrow(
      /no content type instead of text\/event-stream/,
    )
    await expect(collect(client.stream('/missing'))).rejects.toMatchObject({
      code: 'HTTP_STATUS',
      status: 404,
    })
  })

  it('is not cut at the timeout of an attempt, and silence between events is timed, comments apart', async () => {
    const { client } = await setUp(
      (_request, response) => {
        sse(response).write('data: first\n\n')
        const timer = setInterval(() => response.write(': still here\n\n'), 20)
        response.on('close', () => clearInterval(timer))
      },
      { timeout: 250, retries: 0 },
    )
    const started = performance.now()
    const events = client.stream('/events', { eventTimeout: 600 })
    expect((await events.next()).value).toMatchObject({ data: 'first' })
    await expect(events.next()).rejects.toMatchObject({ code: 'TIMEOUT', phase: 'idle', timeoutMs: 600 })
    expect(performance.now() - started).toBeGreaterThanOrEqual(595)
  })

  it('leaving the loop ends the request', async () => {
    let ended: () => void
    const closed = new Promise<void>((resolve) => {
      ended = resolve
    })
    const { client } = await setUp((_request, response) => {
      response.on('close', () => ended())
      sse(response)
      const write = () => {
        if (!response.destroyed) response.write('data: x\n\n', () => setImmediate(write))
      }
      write()
    })
    expect(await collect(client.stream('/endless'), 3)).toHaveLength(3)
    await closed
    expect(client.getStats().inFlight).toBe(0)
  })

  it("ends with the caller's signal", async () => {
    const { client } = await setUp((_request, response) => void sse(response).write('data: x\n\n'))
    const controller = new AbortController()
    const events = client.stream('/events', { signal: controller.signal })
    await events.next()
    const pending = events.next()
    controller.abort('enough')
    await expect(pending).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' })
  })

  it('goes on where it broke off when asked to reconnect, and stops at 204', async () => {
    const asked: (string | undefined)[] = []
    const { client } = await setUp((request, response) => {
      const last = request.headers['last-event-id'] as string | undefined
      asked.push(last)
      if (last === '3') {
        response.writeHead(204).end()
        return
      }
      sse(response)
      const from = Number(last ?? 0)
      response.write(`retry: 1\nid: ${from + 1}\ndata: ${from + 1}\n\ndata: half of an ev`, () =>
        response.destroy(),
      )
    })
    const events = await collect(client.stream('/events', { reconnect: true, retries: 5 }))
    expect(events.map(({ data }) => data)).toEqual(['1', '2', '3'])
    expect(asked).toEqual([undefined, '1', '2', '3'])
  })

  it('never reconnects what could run twice', async () => {
    const { client } = await setUp(() => {})
    expect(() => client.stream('/chat', { method: 'POST', reconnect: true })).toThrow(
      /"reconnect" must be false for POST/,
    )
    expect(() => client.stream('/chat', { format: 'xml' as 'sse' })).toThrow(
      /"format" must be "sse" or "ndjson", got "xml"/,
    )
    expect(() => client.stream('/chat', { signal: {} as AbortSignal })).toThrow(
      /"signal" must be an AbortSignal/,
    )
  })

  it('without reconnect a break in the middle is an error', async () => {
    const { client } = await setUp((_request, response) => {
      sse(response).write('data: one\n\n', () => response.destroy())
    })
    const events = client.stream('/events')
    expect((await events.next()).value).toMatchObject({ data: 'one' })
    await expect(events.next()).rejects.toMatchObject({ code: 'NETWORK' })
  })
})

describe('schema', () => {
  /** A schema as any library could have made it. */
  function numberSchema(wait: boolean): StandardSchema<{ n: number }> {
    return {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate(value) {
          const { n } = value as { n: unknown }
          const result =
            typeof n === 'number'
              ? { value: { n } }
              : { issues: [{ message: 'a number is expected', path: ['n'] }] }
          return wait ? Promise.resolve(result) : result
        },
      },
    }
  }

  it.each([false, true])(
    'gives the body its type, or says what is wrong (asynchronous: %s)',
    async (wait) => {
      const { client } = await setUp((request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(request.url === '/good' ? '{"n":1,"secret":"s"}' : '{"n":"secret"}')
      })
      const schema = numberSchema(wait)
      const { n } = await client.get('/good', { schema })
      expect(n + 1).toBe(2)
      const error = await client.get('/bad', { schema }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        code: 'SCHEMA_MISMATCH',
        isSchemaError: true,
        issues: [{ path: 'n', message: 'a number is expected' }],
      })
      expect(String(error)).not.toContain('"secret"')
    },
  )

  it('response interceptors see what the schema made of it', async () => {
    const { client } = await setUp((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('{"n":1,"more":2}')
    })
    client.addResponseInterceptor(({ data }) => Object.keys(data))
    expect(await client.get('/', { schema: numberSchema(false) })).toEqual(['n'])
  })

  it('what is no schema is refused', async () => {
    const { client } = await setUp((_request, response) => void response.end('{}'))
    await expect(client.get('/', { schema: {} as StandardSchema })).rejects.toThrow(
      /option "schema" must be a Standard Schema/,
    )
  })
})
