// What has burned the users of HTTP clients, each as the behaviour that spares ours: on servers that misbehave, or in
// virtual time. The names in brackets are where it was reported.

import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { AbortError, TimeoutError } from '../../src/ApiClient.ts'
import { CommsError } from '../../src/core/errors.ts'
import { failureOf, json, serve, serveRaw, transports, virtual } from '../support/apiClients.ts'
import { until } from '../support/misbehavingServer.ts'
import { connectionLost, type Scripted } from '../support/scriptedTransport.ts'

describe.each(transports)('through %s', (_name, make) => {
  describe('a timeout covers the body to its last byte (openai-node#1825, ofetch#620)', () => {
    it('a body that stalls ends in a TimeoutError, and the connection closes', async () => {
      const { server, client } = await serve(
        (_request, response) => {
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
          response.write('{"half":')
        },
        { timeout: 80, retries: 0 },
        make,
      )
      const error = await failureOf(client.get('/'))
      expect(error).toBeInstanceOf(TimeoutError)
      expect(error).toMatchObject({ phase: 'attempt', timeoutMs: 80 })
      await until(() => server.connections === 0, 'the connection closes')
    })

    it('a body that drips for ever without stalling ends, too', async () => {
      const { client } = await serve(
        (_request, response) => {
          response.writeHead(200, { 'content-type': 'text/plain' })
          const timer = setInterval(() => response.write('.'), 5)
          response.on('close', () => clearInterval(timer))
        },
        { timeout: 80, retries: 0 },
        make,
      )
      expect(await failureOf(client.get('/'))).toBeInstanceOf(TimeoutError)
    })

    it('a stream that was handed over and stalls ends with the idle timeout', async () => {
      const { client } = await serve(
        (_request, response) => {
          response.write('first')
        },
        { idleTimeout: 250 },
        make,
      )
      const stream = (await client.get('/', { responseType: 'stream' })) as ReadableStream<Uint8Array>
      const reader = stream.getReader()
      expect(new TextDecoder().decode((await reader.read()).value)).toBe('first')
      expect(await failureOf(reader.read())).toMatchObject({ code: 'TIMEOUT', phase: 'idle' })
    })
  })

  it('the timeout stays in force when a signal is passed (ofetch)', async () => {
    const { client } = await serve(() => {}, { timeout: 50, retries: 0 }, make)
    const { signal } = new AbortController()
    expect(await failureOf(client.get('/', { signal }))).toBeInstanceOf(TimeoutError)
    expect(await failureOf(client.fetch(`${client.baseURL}/`, { signal }))).toBeInstanceOf(TimeoutError)
  })

  describe('listeners on a signal (undici#3157, undici#5285, node#52635, openai-node#1811)', () => {
    /** A signal that knows how many listen to it. */
    function countedSignal() {
      const controller = new AbortController()
      const { signal } = controller
      let listeners = 0
      let most = 0
      const add = signal.addEventListener.bind(signal)
      const remove = signal.removeEventListener.bind(signal)
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        listeners += 1
        most = Math.max(most, listeners)
        add(...args)
      }
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listeners -= 1
        remove(...args)
      }
      return { controller, signal, listeners: () => listeners, most: () => most }
    }

    it('a hundred calls at once put one on it, and none is left behind', async () => {
      const { client } = await serve((_request, response) => json(response, 1), {}, make)
      const { signal, listeners, most } = countedSignal()
      const warned = vi.fn()
      process.on('warning', warned)
      try {
        await Promise.all(Array.from({ length: 100 }, () => client.get('/', { signal })))
        for (let call = 0; call < 20; call += 1) await client.get('/', { signal })
        await new Promise((resolve) => setImmediate(resolve))
      } finally {
        process.off('warning', warned)
      }
      expect(most()).toBe(1)
      expect(listeners()).toBe(0)
      expect(warned).not.toHaveBeenCalled()
    })

    it('an abort still works between the headers and the end of the body', async () => {
      const { server, client } = await serve((_request, response) => response.write('half'), {}, make)
      const controller = new AbortController()
      const call = failureOf(client.get('/', { signal: controller.signal }))
      await until(() => server.requests === 1, 'the request arrives')
      await new Promise((resolve) => setTimeout(resolve, 20))
      controller.abort(new Error('enough'))
      expect(await call).toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
      await until(() => server.connections === 0, 'the connection closes')
    })

    it('a stream can be aborted until its last byte, and then lets go of the signal', async () => {
      let finish = () => {}
      const { client } = await serve(
        (request, response) => {
          response.write('half')
          if (request.url === '/whole') finish = () => response.end('whole')
        },
        {},
        make,
      )
      const { signal, controller, listeners } = countedSignal()
      const whole = (await client.get('/whole', { signal, responseType: 'stream' })) as ReadableStream
      expect(listeners()).toBe(1)
      finish()
      expect(await new Response(whole).text()).toBe('halfwhole')
      expect(listeners()).toBe(0)
      const cut = (await client.get('/cut', { signal, responseType: 'stream' })) as ReadableStream
      const reader = cut.getReader()
      await reader.read()
      controller.abort(new Error('enough'))
      expect(await failureOf(reader.read())).toMatchObject({ code: 'ABORTED' })
    })
  })

  describe('the body of what is sent again (got#1382, ky#230, axios#1628, axios-retry#295)', () => {
    const form = new FormData()
    form.set('name', 'a file')
    form.set('file', new Blob(['contents of the file']), 'file.txt')

    it.each<[string, () => unknown, RegExp]>([
      ['an object', () => ({ a: [1, { b: 2 }] }), /^\{"a":\[1,\{"b":2\}\]\}$/],
      ['text', () => 'text ✓', /^text ✓$/],
      ['bytes', () => new Uint8Array([104, 105]), /^hi$/],
      ['a Blob', () => new Blob(['blob']), /^blob$/],
      ['parameters', () => new URLSearchParams({ a: '1' }), /^a=1$/],
      ['a form', () => form, /name="name"\r\n\r\na file\r\n.*contents of the file\r\n/s],
      ['what a function makes', () => () => 'made anew', /^made anew$/],
    ])('%s arrives whole, three times the same, under the same URL', async (_what, data, expected) => {
      const seen: string[] = []
      const { client, server } = await serve(
        (request, response, count) => {
          seen.push(`${request.url} ${request.headers['content-type']} ${request.body}`)
          response.writeHead(count < 3 ? 503 : 204).end()
        },
        {},
        make,
      )
      client.baseURL = `${server.origin}/v1`
      await client.put('/thing', data())
      expect(seen).toHaveLength(3)
      expect(new Set(seen).size).toBe(1)
      expect(seen[0]).toMatch(/^\/v1\/thing /)
      expect(seen[0]?.replace(/^\S+ (?:[^ ]+; )?\S+ /, '')).toMatch(expected)
    })

    it('a stream made by a function is made for every attempt', async () => {
      const seen: string[] = []
      const { client } = await serve(
        (request, response, count) => {
          seen.push(String(request.body))
          response.writeHead(count < 3 ? 503 : 204).end()
        },
        {},
        make,
      )
      let made = 0
      await client.put('/', () => {
        made += 1
        return new Blob([`stream ${made}`]).stream()
      })
      expect(seen).toEqual(['stream 1', 'stream 2', 'stream 3'])
    })

    it('a stream that has been read is not sent again, and nothing rejects unheard (got#1282)', async () => {
      const unheard = vi.fn()
      process.on('unhandledRejection', unheard)
      try {
        const { server, client } = await serve(
          (_request, response) => response.writeHead(503).end(),
          {},
          make,
        )
        const error = await failureOf(client.put('/', new Blob(['once']).stream()))
        expect(error).toMatchObject({ status: 503, attempts: 1 })
        const failing = new ReadableStream({
          pull() {
            throw new Error('disk is gone')
          },
        })
        expect(await failureOf(client.put('/', failing))).toMatchObject({ code: 'BAD_REQUEST' })
        await new Promise((resolve) => setTimeout(resolve, 20))
        expect(server.requests).toBeLessThanOrEqual(2)
      } finally {
        process.off('unhandledRejection', unheard)
      }
      expect(unheard).not.toHaveBeenCalled()
    })
  })

  describe('a POST never runs twice behind the back of whoever sent it (dotnet/extensions#5248)', () => {
    it.each<[string, Parameters<typeof serveRaw>[0]]>([
      ['is answered with 500', (socket) => socket.end('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n')],
      ['is answered with 503', (socket) => socket.end('HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n')],
      ['is cut before the answer', (socket) => socket.destroy()],
      ['is cut in the answer', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')],
      ['is never answered', () => {}],
    ])('when it %s', async (_what, handle) => {
      // Long enough for a busy machine to send the request at all.
      const { server, client } = await serveRaw(handle, { timeout: 600, retries: 3 }, make)
      await failureOf(client.post('/', { order: 1 }))
      await failureOf(client.patch('/', { order: 1 }))
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(server.requests).toBe(2)
    })
  })

  it('response hooks run once per call, however many attempts it takes (axios-retry#264)', async () => {
    const { client } = await serve(
      (_request, response, count) => (count < 3 ? response.writeHead(503).end() : json(response, count)),
      {},
      make,
    )
    const hooks: string[] = []
    client.addRequestInterceptor(() => void hooks.push('request'))
    client.addResponseInterceptor(({ attempts }) => void hooks.push(`response after ${attempts}`))
    client.addErrorInterceptor(() => void hooks.push('error'))
    expect(await client.get('/')).toBe(3)
    expect(hooks).toEqual(['request', 'response after 3'])
  })

  it('a stream that only sends comments has fallen silent: events are timed, not bytes (anthropic-sdk#867)', async () => {
    const { client } = await serve(
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('data: one\n\n')
        const timer = setInterval(() => response.write(': keep-alive\n\n'), 10)
        response.on('close', () => clearInterval(timer))
      },
      // Comments are life for the line; that events come is a limit of its own.
      { idleTimeout: 60_000 },
      make,
    )
    const events = client.stream('/', { eventTimeout: 250 })
    expect((await events.next()).value).toMatchObject({ data: 'one' })
    expect(await failureOf(events.next())).toMatchObject({ code: 'TIMEOUT', phase: 'idle', timeoutMs: 250 })
  })
})

describe('an abort during the backoff (openai-node#2727, cockatiel 4.0.0)', () => {
  it('ends the call at once, sends nothing more, and leaves no timer', async () => {
    const { clock, transport, client } = virtual(() => ({ status: 503 }), { retryDelay: 20_000 })
    const controller = new AbortController()
    const call = failureOf(client.get('/', { signal: controller.signal }))
    await clock.advance(10)
    expect(transport.asked).toHaveLength(1)
    controller.abort(new Error('enough'))
    expect(await call).toBeInstanceOf(AbortError)
    expect(clock.pending).toBe(0)
    await clock.advance(100_000)
    expect(transport.asked).toHaveLength(1)
  })
})

describe('giving up a body that nobody will read (ky#803)', () => {
  const hanging = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('1\n')),
      cancel: () => new Promise(() => {}),
    })

  it('is not waited for: a retry goes on although cancel() hangs', async () => {
    const { clock, client } = virtual((_request, count) =>
      count === 1 ? { status: 503, body: hanging() } : { body: { ok: true } },
    )
    const call = client.fetch('https://api.test/')
    await clock.advance(1000)
    expect(await (await call).json()).toEqual({ ok: true })
  })

  it('is not waited for when the caller aborts or leaves', async () => {
    const { clock, client } = virtual(() => ({
      body: hanging(),
      headers: { 'content-type': 'text/event-stream' },
    }))
    const controller = new AbortController()
    const pending = client.get('/', { responseType: 'stream', signal: controller.signal })
    await clock.advance(1)
    const reader = ((await pending) as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    controller.abort()
    expect(await failureOf(reader.read())).toBeInstanceOf(AbortError)
    const events = client.stream('/')
    const first = events.next()
    await clock.advance(1)
    await events.return?.()
    expect(await first).toMatchObject({ done: true })
    expect(clock.pending).toBe(0)
    const leaving = (async () => {
      for await (const _ of client.stream('/', { format: 'ndjson' })) break
    })()
    await clock.advance(1)
    await leaving
  })
})

describe('a breaker is never stuck half-open', () => {
  const options = {
    retries: 0,
    circuitBreakerOptions: { threshold: 2, volumeThreshold: 2, timeout: 1000 },
  }

  /** A backend that is down for two calls, then as `then` says; the breaker has opened and its time is over. */
  async function opened(then: Parameters<typeof virtual>[0], more: Parameters<typeof virtual>[1] = {}) {
    const parts = virtual((request, count) => (count <= 2 ? { status: 500 } : then(request, count - 2)), {
      ...options,
      ...more,
    })
    for (let call = 0; call < 2; call += 1) {
      const failed = failureOf(parts.client.get('/'))
      await parts.clock.advance(1)
      await failed
    }
    expect(parts.client.getCircuitBreakerState().state).toBe('OPEN')
    await parts.clock.advance(1000)
    return parts
  }

  it('when its probe is aborted by the caller', async () => {
    const { clock, client } = await opened((_request, count) => (count === 1 ? { after: 500 } : {}))
    const controller = new AbortController()
    const probe = failureOf(client.get('/', { signal: controller.signal }))
    expect(client.getCircuitBreakerState().state).toBe('HALF_OPEN')
    controller.abort()
    expect(await probe).toBeInstanceOf(AbortError)
    const next = client.get('/')
    await clock.advance(1)
    await next
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
  })

  it('when its probe fails with an error that says nothing of the backend (opossum#276, Polly#1979)', async () => {
    const { clock, client } = await opened(() => ({}))
    const broken = client.put('/', () => {
      throw new Error('no body today')
    })
    expect(await failureOf(broken)).toMatchObject({ code: 'BAD_REQUEST' })
    const next = client.get('/')
    await clock.advance(1)
    await next
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
  })

  it('when its probe is answered with something that is refused for what it is', async () => {
    const { clock, client } = await opened(() => ({
      body: new Uint8Array([123]),
      headers: { 'content-type': 'application/json' },
    }))
    const probe = failureOf(client.get('/'))
    await clock.advance(1)
    expect(await probe).toMatchObject({ code: 'BAD_RESPONSE' })
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
  })

  it('when its probe never settles: it ends with its timeout, and callers behind it are rejected at once (cockatiel)', async () => {
    const { clock, transport, client } = await opened(
      (_request, count) => (count === 1 ? { after: Number.POSITIVE_INFINITY } : {}),
      { timeout: 400 },
    )
    const probe = failureOf(client.get('/'))
    const before = clock.now()
    const behind = await failureOf(client.get('/'))
    expect(behind).toMatchObject({ code: 'CIRCUIT_OPEN', attempts: 0 })
    expect(clock.now()).toBe(before)
    await clock.advance(400)
    expect(await probe).toBeInstanceOf(TimeoutError)
    expect(client.getCircuitBreakerState().state).toBe('OPEN')
    await clock.advance(1000)
    const next = client.get('/')
    await clock.advance(1)
    await next
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
    expect(transport.asked).toHaveLength(4)
  })

  it('after many failures at the same instant it opens once and reopens in time (opossum#385)', async () => {
    const changes: string[] = []
    const { clock, client } = virtual(
      (_request, count) => (count <= 20 ? { after: 10, status: 500 } : {}),
      options,
    )
    client.on('breaker', ({ state, reason }) => changes.push(`${state} ${reason}`))
    const calls = Array.from({ length: 20 }, () => failureOf(client.get('/')))
    await clock.advance(10)
    await Promise.all(calls)
    expect(changes).toEqual(['OPEN consecutive-failures'])
    await clock.advance(1000)
    const next = client.get('/')
    await clock.advance(1)
    await next
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
  })

  it('one probe at a time, however many call', async () => {
    const { clock, transport, client } = await opened(() => ({ after: 300 }))
    const calls = Array.from({ length: 50 }, () =>
      client.get('/').then(
        () => 'sent',
        (error) => error.code,
      ),
    )
    await clock.advance(300)
    const results = await Promise.all(calls)
    expect(results.filter((result) => result === 'sent')).toHaveLength(1)
    expect(transport.asked).toHaveLength(3)
  })

  it('answers of calls that began before it opened decide nothing (Polly#216, Polly#217)', async () => {
    const scripts: Record<string, Scripted> = {
      '/late-good': { after: 1500 },
      '/late-bad': { after: 1600, status: 500 },
      '/later-bad': { after: 2100, status: 500 },
      '/later-good': { after: 2200 },
      '/probe': { after: 700 },
    }
    const { clock, client } = virtual((request) => scripts[request.path] ?? { status: 500 }, {
      ...options,
      circuitBreakerOptions: { ...options.circuitBreakerOptions, timeout: 2000 },
    })
    const late = ['/late-good', '/late-bad', '/later-bad', '/later-good'].map((path) =>
      client.get(path).catch(() => {}),
    )
    for (let call = 0; call < 2; call += 1) {
      const failed = failureOf(client.get('/'))
      await clock.advance(1)
      await failed
    }
    const open = { state: 'OPEN', nextAttempt: client.getCircuitBreakerState().nextAttempt }
    await clock.advance(1700)
    expect(client.getCircuitBreakerState()).toMatchObject(open)
    await clock.advance(300)
    const probe = client.get('/probe')
    expect(client.getCircuitBreakerState().state).toBe('HALF_OPEN')
    await clock.advance(150)
    expect(client.getCircuitBreakerState().state).toBe('HALF_OPEN')
    await clock.advance(100)
    expect(client.getCircuitBreakerState().state).toBe('HALF_OPEN')
    await clock.advance(500)
    await probe
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
    await Promise.all(late)
  })

  it('when its probe hangs and no timeout ends it: the probe is given up in time', async () => {
    const { clock, client } = await opened(
      (_request, count) => (count === 1 ? { after: Number.POSITIVE_INFINITY } : {}),
      {
        timeout: Number.POSITIVE_INFINITY,
        circuitBreakerOptions: { ...options.circuitBreakerOptions, probeTimeout: 5000 },
      },
    )
    const hung = failureOf(client.get('/'))
    await clock.advance(4999)
    expect(await failureOf(client.get('/'))).toMatchObject({ code: 'CIRCUIT_OPEN', retryAfter: 1 })
    await clock.advance(1)
    expect(await failureOf(client.get('/'))).toMatchObject({ code: 'CIRCUIT_OPEN' })
    await clock.advance(1000)
    const next = client.get('/')
    await clock.advance(1)
    await next
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
    client.dispose()
    await hung
  })
})

it('after an hour of silence one failure does not open the breaker (cockatiel 4)', async () => {
  const { clock, client } = virtual(
    (_request, count) => (count <= 9 ? { status: 500 } : count === 10 ? { status: 500 } : {}),
    { retries: 0, circuitBreakerOptions: { threshold: 1000 } },
  )
  const call = async () => {
    const result = client.get('/').catch((error) => error)
    await clock.advance(1)
    return result
  }
  for (let count = 0; count < 9; count += 1) await call()
  await clock.advance(3_630_000)
  await call()
  expect(client.getCircuitBreakerState()).toMatchObject({ state: 'CLOSED', failureCount: 1, requestCount: 1 })
})

describe('Retry-After is never undercut (dotnet/extensions#7001)', () => {
  it('whatever the server asks, the retry comes later, and not much', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0, max: 59, noNaN: true }),
        fc.constantFrom('seconds', 'milliseconds', 'date'),
        async (seconds, form) => {
          const askedAt: number[] = []
          const { clock, transport, client } = virtual(
            (_request, count) => {
              if (count > 1) return {}
              askedAt.push(clock.wallNow())
              const headers: Record<string, string> =
                form === 'seconds'
                  ? { 'retry-after': seconds.toFixed(3) }
                  : form === 'milliseconds'
                    ? { 'retry-after-ms': (seconds * 1000).toFixed(1) }
                    : { 'retry-after': new Date(clock.wallNow() + seconds * 1000).toUTCString() }
              return { status: 429, headers }
            },
            { retryDelay: 1 },
          )
          const call = client.get('/')
          await clock.advance(62_000)
          await call
          const waited = (transport.asked[1]?.at ?? 0) - (transport.asked[0]?.at ?? 0)
          const wanted = form === 'date' ? Math.floor(seconds) * 1000 : Math.floor(seconds * 1000)
          expect(waited).toBeGreaterThan(wanted)
          expect(waited).toBeLessThanOrEqual(seconds * 1000 + 60)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('a wish beyond maxRetryAfter or the deadline is not shortened: the call ends, and its error carries it', async () => {
    const { clock, transport, client } = virtual(() => ({ status: 503, headers: { 'retry-after': '90' } }))
    const tooLong = failureOf(client.get('/'))
    await clock.advance(1)
    expect(await tooLong).toMatchObject({ status: 503, retryAfter: 90_000, attempts: 1 })
    const patient = virtual(() => ({ status: 503, headers: { 'retry-after': '30' } }), { deadline: 20_000 })
    const tooLate = failureOf(patient.client.get('/'))
    await patient.clock.advance(1)
    expect(await tooLate).toMatchObject({ status: 503, retryAfter: 30_000, attempts: 1 })
    expect(transport.asked).toHaveLength(1)
  })

  it('on a real clock, too', async () => {
    const times: number[] = []
    const { client } = await serve((_request, response, count) => {
      times.push(performance.now())
      if (count === 1) response.writeHead(429, { 'retry-after-ms': '80' }).end()
      else json(response, 1)
    })
    await client.get('/')
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(80)
  })
})

it('a call that was never sent is told apart from one in doubt: only the first repeats a POST', async () => {
  const never = virtual((_request, count) =>
    count === 1
      ? { error: Object.assign(connectionLost(true), { message: 'network error: never connected' }) }
      : {},
  )
  const call = never.client.post('/', { order: 1 })
  await never.clock.advance(1000)
  await call
  expect(never.transport.asked).toHaveLength(2)
  const doubt = virtual(() => ({ error: connectionLost() }))
  const failed = failureOf(doubt.client.post('/', { order: 1 }))
  await doubt.clock.advance(1000)
  expect(await failed).toBeInstanceOf(CommsError)
  expect(doubt.transport.asked).toHaveLength(1)
})
