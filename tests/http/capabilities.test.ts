// What a client can do, seen from outside: retries in full, bodies in every form, streams, ways to the network, and what it tells.

import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, connect, createServer as createNetServer } from 'node:net'
import fc from 'fast-check'
import { Agent, H2CClient, ProxyAgent } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiClient, type ApiClientOptions, type RequestOptions } from '../../src/ApiClient.ts'
import { clientFor, failureOf, json, serve, serveRaw, transports, virtual } from '../support/apiClients.ts'
import { until } from '../support/misbehavingServer.ts'

describe('retries', () => {
  /** The delays between the attempts of one call, retried to the end. */
  async function delaysOf(options: ApiClientOptions): Promise<number[]> {
    const { clock, client } = virtual(() => ({ status: 503 }), {
      retries: 6,
      retryDelay: 100,
      circuitBreaker: false,
      ...options,
    })
    const delays: number[] = []
    client.on('retry', ({ delay }) => delays.push(delay))
    const call = failureOf(client.get('/'))
    await clock.advance(1e6)
    await call
    return delays
  }

  it('double from one to the next, spread as they are told to', async () => {
    expect(await delaysOf({ jitter: 'none' })).toEqual([100, 200, 400, 800, 1600, 3200])
    expect(await delaysOf({ jitter: 'full', random: () => 0.25 })).toEqual([25, 50, 100, 200, 400, 800])
    expect(await delaysOf({ jitter: 'equal', random: () => 0 })).toEqual([50, 100, 200, 400, 800, 1600])
    expect(await delaysOf({ random: () => 1 })).toEqual([150, 300, 600, 1200, 2400, 4800])
    expect(await delaysOf({ jitter: 'none', maxRetryDelay: 500 })).toEqual([100, 200, 400, 500, 500, 500])
  })

  it('decorrelated, each is drawn from the one before: from the base to three times as long', async () => {
    expect(await delaysOf({ jitter: 'decorrelated', random: () => 0 })).toEqual([
      100, 100, 100, 100, 100, 100,
    ])
    expect(await delaysOf({ jitter: 'decorrelated', random: () => 1, maxRetryDelay: 5000 })).toEqual([
      300, 900, 2700, 5000, 5000, 5000,
    ])
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 6, maxLength: 6 }),
        async (draws) => {
          let draw = 0
          const delays = await delaysOf({
            jitter: 'decorrelated',
            random: () => draws[draw++ % draws.length] as number,
            maxRetryDelay: 4000,
          })
          let before = 100
          for (const delay of delays) {
            expect(delay).toBeGreaterThanOrEqual(100)
            expect(delay).toBeLessThanOrEqual(Math.min(4000, before * 3))
            before = delay
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  it.each<[string, Record<string, string>, number]>([
    ['x-should-retry: false ends them', { 'x-should-retry': 'false' }, 1],
    ['x-should-retry: true asks for them', { 'x-should-retry': 'true' }, 3],
    ['x-should-retry in other words says nothing', { 'x-should-retry': 'perhaps' }, 3],
  ])('%s', async (_what, headers, attempts) => {
    const status = headers['x-should-retry'] === 'true' ? 404 : 503
    const { server, client } = await serve((_request, response) => response.writeHead(status, headers).end())
    expect(await failureOf(client.get('/'))).toMatchObject({ status, attempts })
    expect(server.requests).toBe(attempts)
  })

  it('the hook has the last word, and is asked with the error and the attempt', async () => {
    const asked: unknown[] = []
    const { server, client } = await serve((_request, response) => response.writeHead(503).end(), {
      shouldRetry: async (error, attempt) => {
        asked.push([(error as { status: number }).status, attempt])
        return attempt < 2
      },
    })
    expect(await failureOf(client.get('/'))).toMatchObject({ status: 503, attempts: 2 })
    expect(asked).toEqual([
      [503, 1],
      [503, 2],
    ])
    expect(server.requests).toBe(2)
  })

  it('a hook that throws ends the call with an error that names it', async () => {
    const { client } = await serve((_request, response) => response.writeHead(503).end(), {
      shouldRetry: () => {
        throw new Error('no idea')
      },
    })
    expect(await failureOf(client.get('/'))).toMatchObject({
      code: 'CALLBACK_FAILED',
      message: 'shouldRetry threw: no idea',
    })
  })
})

it('connecting has a limit of its own, and what was not connected was not sent', async () => {
  // Accepts and stays silent: the TLS handshake never ends.
  const { server } = await serveRaw(() => {})
  const client = clientFor({
    baseURL: server.origin.replace('http:', 'https:'),
    connectTimeout: 60,
    retries: 0,
  })
  expect(await failureOf(client.post('/', {}))).toMatchObject({
    code: 'TIMEOUT',
    phase: 'connect',
    timeoutMs: 60,
  })
})

describe.each(transports)('through %s', (name, make) => {
  it.each<[RequestOptions['responseType'], unknown]>([
    ['json', { a: 1 }],
    ['text', '{"a":1}'],
    ['arrayBuffer', new TextEncoder().encode('{"a":1}').buffer],
    [undefined, { a: 1 }],
  ])('a body comes as %s', async (responseType, expected) => {
    const { client } = await serve((_request, response) => json(response, { a: 1 }), {}, make)
    expect(await client.get('/', { responseType })).toEqual(expected)
  })

  it('a body comes as a Blob with its type, and as a stream', async () => {
    const { client } = await serve((_request, response) => json(response, { a: 1 }), {}, make)
    const blob = (await client.get('/', { responseType: 'blob' })) as Blob
    expect([blob.type, await blob.text()]).toEqual(['application/json', '{"a":1}'])
    const stream = (await client.get('/', { responseType: 'stream' })) as ReadableStream
    expect(await new Response(stream).text()).toBe('{"a":1}')
  })

  it('a download tells how far it is', async () => {
    const { client } = await serve(
      (_request, response) => {
        response
          .writeHead(200, { 'content-length': 300_000, 'content-type': 'application/octet-stream' })
          .end(Buffer.alloc(300_000))
      },
      {},
      make,
    )
    const told: [number, number | undefined][] = []
    await client.get('/', { onDownloadProgress: (received, total) => told.push([received, total]) })
    expect(told.at(-1)).toEqual([300_000, 300_000])
    expect(told.map(([received]) => received)).toEqual(
      told.map(([received]) => received).toSorted((a, b) => a - b),
    )
  })

  it.each<['sse' | 'ndjson', string]>([
    ['sse', `data: ${'x'.repeat(1000)}\n\n`],
    ['ndjson', `"${'x'.repeat(1000)}"\n`],
  ])('a slow reader of %s slows the server down', async (format, piece) => {
    let written = 0
    const { client } = await serve(
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        const chunk = piece.repeat(64)
        const push = () => {
          while (!response.destroyed && response.write(chunk)) written += chunk.length
          response.once('drain', push)
        }
        push()
      },
      { maxResponseBytes: Number.POSITIVE_INFINITY },
      make,
    )
    const items = client.stream('/', { format: format as 'sse' })
    for (let item = 0; item < 5; item += 1) await items.next()
    let before = -1
    while (before !== written) {
      before = written
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(written).toBeLessThan(16 * 1024 * 1024)
    await items.return?.()
  })

  it('every decision is told, with the time that each attempt took', async () => {
    const { client } = await serve(
      (_request, response, count) =>
        setTimeout(() => (count === 1 ? response.writeHead(503).end() : json(response, 1)), 15),
      {},
      make,
    )
    const told: string[] = []
    for (const event of ['attempt', 'retry', 'breaker', 'limited', 'response', 'failure'] as const)
      client.on(event, () => told.push(event))
    let timings: readonly { attempt: number; untilSent: number; untilHeaders: number; total: number }[] = []
    client.on('response', (event) => {
      timings = event.timings
    })
    await client.get('/')
    expect(told).toEqual(['attempt', 'retry', 'attempt', 'response'])
    expect(timings.map(({ attempt }) => attempt)).toEqual([1, 2])
    for (const { untilSent, untilHeaders, total } of timings) {
      expect(untilSent).toBeGreaterThanOrEqual(0)
      expect(untilHeaders).toBeGreaterThanOrEqual(Math.max(untilSent, 10))
      expect(total).toBeGreaterThanOrEqual(untilHeaders)
    }
    expect(client.getStats()).toMatchObject({
      totalRequests: 1,
      successfulRequests: 1,
      attempts: 2,
      retries: 1,
      failedRequests: 0,
      inFlight: 0,
    })
  })

  it('what nobody asked for is not sent: the headers that are added stay small', async () => {
    const heads: string[] = []
    const { client } = await serveRaw(
      (socket, head) => {
        heads.push(head)
        socket.end('HTTP/1.1 204 No Content\r\n\r\n')
      },
      {},
      make,
    )
    await client.get('/')
    const added = (heads[0] as string).split('\r\n').filter((line) => !/^(GET|host|connection)/i.test(line))
    // Node's own fetch adds some of its own beside ours.
    expect(added.join('\r\n').length).toBeLessThan(name === 'undici' ? 200 : 250)
  })
})

describe('ways to the network', () => {
  it('HTTP/2, by a dispatcher', async () => {
    const server = createHttp2Server()
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      let body = ''
      stream.on('data', (chunk) => {
        body += chunk
      })
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/json' })
        stream.end(JSON.stringify({ method: headers[':method'], path: headers[':path'], body }))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const dispatcher = new H2CClient(origin)
    onTestFinished(async () => {
      await dispatcher.destroy()
      server.close()
    })
    const client = clientFor({ baseURL: origin, dispatcher })
    expect(await client.post('/v2?q=1', { a: 1 })).toEqual({
      method: 'POST',
      path: '/v2?q=1',
      body: '{"a":1}',
    })
    expect(await client.get('/v2')).toMatchObject({ method: 'GET' })
  })

  it('a proxy, by a dispatcher; its password is in no error', async () => {
    const { server } = await serve((_request, response) => json(response, 'through'))
    const tunnels: string[] = []
    const proxy = createNetServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (head) => {
        const [, host, port] = /^CONNECT ([^:]+):(\d+)/.exec(head.toString()) ?? []
        tunnels.push(head.toString())
        if (tunnels.length > 1) {
          socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
          return
        }
        const through = connect(Number(port), host, () => socket.write('HTTP/1.1 200 Connected\r\n\r\n'))
        through.on('error', () => {})
        socket.pipe(through).pipe(socket)
      })
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void proxy.close())
    const uri = `http://user:hunter2@127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const make = () => {
      const dispatcher = new ProxyAgent({ uri, proxyTunnel: true })
      onTestFinished(() => dispatcher.destroy())
      return clientFor({ baseURL: server.origin, dispatcher, retries: 0 })
    }
    expect(await make().get('/')).toBe('through')
    expect(tunnels[0]).toMatch(/proxy-authorization: basic/i)
    const refused = await failureOf(make().get('/'))
    expect(refused.code).toBe('NETWORK')
    expect(`${refused.message} ${refused.stack}`).not.toMatch(/hunter2|dXNlcjpodW50ZXIy/)
  })

  it("a dispatcher stays the caller's: dispose leaves it open", async () => {
    const { server } = await serve((_request, response) => json(response, 1))
    const dispatcher = new Agent()
    onTestFinished(() => dispatcher.destroy())
    const first = clientFor({ baseURL: server.origin, dispatcher })
    await first.get('/')
    first.dispose()
    // undici takes a connection up again one turn of the event loop later.
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await clientFor({ baseURL: server.origin, dispatcher }).get('/')).toBe(1)
    expect(server.connections).toBe(1)
  })
})

describe('a wrong option', () => {
  const wrong: [keyof ApiClientOptions, unknown, RegExp][] = [
    ['baseURL', 5, /a string, got 5/],
    ['timeout', '5', /a number of milliseconds .*got "5"/],
    ['timeout', 0, /got 0/],
    ['deadline', -1, /got -1/],
    ['connectTimeout', null, /got null/],
    ['idleTimeout', Number.NaN, /got NaN/],
    ['retries', 1.5, /a whole number .*got 1.5/],
    ['retryDelay', -5, /got -5/],
    ['maxRetryDelay', 3e9, /got 3000000000/],
    ['jitter', 'much', /"none" or "full" or "equal" or "decorrelated".*got "much"/],
    ['jitter', [2, 1], /got an array/],
    ['maxRetryAfter', '1 s', /got "1 s"/],
    ['retryStatusCodes', [50], /an array, each item a whole number from 100 to 599, got an array/],
    ['retryUnsafe', 1, /true or false, got 1/],
    ['shouldRetry', true, /a function, got true/],
    ['retryBudget', 0.2, /an object, got 0.2/],
    ['circuitBreaker', 'yes', /true or false, got "yes"/],
    ['circuitBreakerOptions', [], /an object, got an array/],
    ['rateLimiter', {}, /true or false, got an object/],
    ['rateLimiterOptions', true, /an object, got true/],
    ['rateLimitMode', 'queue', /"reject" or "wait", got "queue"/],
    ['learnRateLimits', true, /an object with observe, got true/],
    ['policy', {}, /an object with execute, got an object/],
    ['hedge', () => {}, /an object with execute, got a function/],
    ['coalesce', 1, /true or false, got 1/],
    ['headers', 'a: b', /an object of headers, got "a: b"/],
    ['sensitiveHeaders', 'x-key', /an array, each item a string/],
    ['allowedOrigins', [5], /an array, each item a string/],
    ['allowInsecure', 'no', /true or false/],
    ['maxResponseBytes', 0, /a number of bytes .*got 0/],
    ['maxHeaderBytes', '64k', /got "64k"/],
    ['maxRedirects', -1, /got -1/],
    ['enableLogging', 'debug', /true or false/],
    ['logger', { log() {} }, /an object with debug, info, warn, error/],
    ['unref', 0, /true or false/],
    ['clock', Date, /an object with now, wallNow, setTimeout, clearTimeout/],
    ['random', 0.5, /a function, got 0.5/],
    ['dispatcher', 'http://proxy', /an object with dispatch/],
    ['fetch', {}, /a function/],
    ['credentials', 'always', /"omit" or "same-origin" or "include", got a string/],
    ['transport', {}, /an object with send, dispose, decodeText/],
  ]

  it.each(wrong)(
    '%s: %j is named when the client is made, with what was expected and what came',
    (option, value, message) => {
      const make = () => new ApiClient({ [option]: value })
      expect(make).toThrow(new RegExp(`^ApiClient: option "${option}" must be `))
      expect(make).toThrow(message)
    },
  )

  it('in another case is a slip of the pen, and is named', () => {
    expect(() => new ApiClient({ baseUrl: 'https://api.test' } as never)).toThrow(/spelt "baseURL"/)
  })

  it.each<[string, ApiClientOptions, RegExp]>([
    ['a base that is no URL', { baseURL: 'nowhere' }, /baseURL/],
    ['a base with a query', { baseURL: 'https://api.test/?a=1' }, /baseURL/],
    ['an origin that is none', { allowedOrigins: ['nowhere'] }, /invalid URL/],
    [
      'a threshold',
      { circuitBreakerOptions: { threshold: 0 } },
      /circuitBreakerOptions: option "threshold" must be .*got 0/,
    ],
    [
      'a limit',
      { rateLimiterOptions: { limits: { api: { tokensPerSecond: 0, burstCapacity: 1 } } } },
      /limits.api.tokensPerSecond/,
    ],
  ])('%s is named, too', (_what, options, message) => {
    expect(() => new ApiClient(options)).toThrow(message)
  })

  it.each<[string, unknown, RegExp]>([
    ['timeout', 0, /got 0/],
    ['deadline', 'soon', /got "soon"/],
    ['retries', -1, /got -1/],
    ['signal', {}, /an AbortSignal/],
    ['rateCost', 0, /got 0/],
    ['priority', 'high', /got "high"/],
    ['idempotencyKey', false, /got false/],
    ['responseType', 'xml', /got "xml"/],
    ['schema', {}, /Standard Schema/],
    ['params', 'a=1', /an object/],
  ])('of a call, %s: %j, rejects it before anything is sent', async (option, value, message) => {
    const { transport, client } = virtual(() => ({}))
    const error = await failureOf(client.get('/', { [option]: value }))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option, message: expect.stringMatching(message) })
    expect(transport.asked).toHaveLength(0)
  })

  it('set later is refused, and the old value stays', () => {
    const client = clientFor({ timeout: 5000 })
    expect(() => {
      client.timeout = -1
    }).toThrow(/option "timeout"/)
    expect(client.timeout).toBe(5000)
    expect(() => {
      client.circuitBreaker.threshold = 0
    }).toThrow(/threshold/)
    expect(() => {
      client.baseURL = 'nowhere'
    }).toThrow(/baseURL/)
    expect(client.baseURL).toBeUndefined()
  })
})

it('a client that is gone says so, and what it had under way ends', async () => {
  const { server, client } = await serve(() => {})
  const call = failureOf(client.get('/'))
  await until(() => server.requests === 1, 'the request arrives')
  client.dispose()
  client.dispose()
  expect(await call).toMatchObject({ code: 'DISPOSED' })
  expect(await failureOf(client.get('/'))).toMatchObject({ code: 'DISPOSED' })
  expect(await failureOf(client.stream('/').next())).toMatchObject({ code: 'DISPOSED' })
  await until(() => server.connections === 0, 'the connection closes')
})
