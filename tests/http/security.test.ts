// What has broken the security of HTTP clients, each as the behaviour that keeps it out. Names in brackets: where it happened.

import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ApiClient, type ApiClientOptions, type RequestOptions } from '../../src/ApiClient.ts'
import { redactUrl } from '../../src/core/redact.ts'
import { RateLimiter } from '../../src/policies/index.ts'
import { clientFor, failureOf, json, serve, serveRaw, transports, virtual } from '../support/apiClients.ts'
import { closedPort, until } from '../support/misbehavingServer.ts'

describe('a URL cannot leave the origin of the base (axios CVE-2024-39338, CVE-2025-27152, CVE-2025-58754)', () => {
  const escapes = [
    'https://evil.test/',
    '//evil.test/',
    '\\\\evil.test/',
    '/\\evil.test/',
    '\\/evil.test',
    '\t//evil.test/',
    '/\t/evil.test/',
    '/\n/evil.test',
    ' //evil.test/',
    '\u0000//evil.test/',
    'h\tttps://evil.test/',
    'https:evil.test',
    'https:/evil.test',
    'HTTPS://EVIL.TEST/',
    'http://api.test/',
    'https://api.test:444/',
    'https://api.test@evil.test/',
    'https://api.test.evil.test/',
    new URL('https://evil.test/'),
  ]

  it.each(escapes)('%j is refused, and nothing is sent', async (url) => {
    const { transport, client } = virtual(() => ({}), { headers: { authorization: 'secret' } })
    expect((await failureOf(client.get(url))).code).toMatch(/^(ORIGIN_NOT_ALLOWED|BAD_REQUEST)$/)
    expect((await failureOf(client.fetch(url))).message).toMatch(/origin|invalid URL/)
    expect(transport.asked).toHaveLength(0)
  })

  it.each([
    'data:text/plain,hello',
    'file:///etc/passwd',
    'blob:https://api.test/1',
    'ftp://api.test/',
    'javascript:1',
    'ws://api.test/',
  ])('%s is not requested, with or without a base', async (url) => {
    const { transport, client } = virtual(() => ({}))
    const free = virtual(() => ({}), { baseURL: undefined as never })
    expect(await failureOf(client.get(url))).toMatchObject({ code: 'BAD_REQUEST' })
    expect(await failureOf(free.client.get(url))).toMatchObject({ code: 'BAD_REQUEST' })
    expect(transport.asked.length + free.transport.asked.length).toBe(0)
  })

  it('whatever text a URL is made of, nothing goes elsewhere', async () => {
    const piece = fc.constantFrom(
      '/',
      '\\',
      ':',
      '@',
      '.',
      '?',
      '#',
      '\t',
      '\n',
      ' ',
      '%2f',
      'https:',
      'evil.test',
      'api.test',
      '..',
      '[',
      ']',
      '\u3002',
      '\uff0f',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 10 }), async (pieces) => {
        const { transport, client } = virtual(() => ({ after: Number.POSITIVE_INFINITY }))
        client.get(pieces.join('')).catch(() => {})
        client.request({ url: pieces.join(''), method: 'PUT' }).catch(() => {})
        for (const { request } of transport.asked) expect(request.origin).toBe('https://api.test')
        client.dispose()
      }),
      { numRuns: 1500 },
    )
  })

  it('the path stays under the prefix of the base only as far as the caller writes it', async () => {
    const { transport, client } = virtual(() => ({ after: Number.POSITIVE_INFINITY }), {
      baseURL: 'https://api.test/v1',
    })
    client.get('/users').catch(() => {})
    expect(transport.asked[0]?.request.path).toBe('/v1/users')
    client.dispose()
  })
})

describe.each(transports)('through %s', (_name, make) => {
  describe('redirects', () => {
    /** Two origins: the first redirects everything to the second, which shows what it was sent. */
    async function twoOrigins(status: number, options: ApiClientOptions = {}) {
      const other = await serve((request, response) =>
        json(response, {
          method: request.method,
          headers: request.headers,
          body: String(request.body),
          url: request.url,
        }),
      )
      const first = await serve(
        (_request, response) =>
          response.writeHead(status, { location: `${other.server.origin}/there` }).end(),
        { allowedOrigins: [other.server.origin], ...options },
        make,
      )
      return { client: first.client, other: other.server }
    }

    it('take no credentials to another origin (CVE-2022-0155, CVE-2024-28849)', async () => {
      const { client } = await twoOrigins(307, { sensitiveHeaders: ['X-Api-Key'] })
      const { headers, body } = await client.put<{ headers: Record<string, string>; body: string }>(
        '/',
        { a: 1 },
        {
          headers: {
            authorization: 'Bearer abc',
            cookie: 'sid=abc',
            'proxy-authorization': 'Basic abc',
            'x-api-key': 'abc',
            'x-trace': 'kept',
          },
        },
      )
      expect(headers).toMatchObject({ 'x-trace': 'kept' })
      expect(JSON.stringify(headers)).not.toMatch(/abc/)
      expect(body).toBe('{"a":1}')
    })

    it('lead to no origin that is not allowed, at any hop', async () => {
      const evil = await serve((_request, response) => json(response, 'stolen'))
      const { server, client } = await serve(
        (request, response) =>
          response
            .writeHead(302, { location: request.url === '/' ? '/second' : `${evil.server.origin}/` })
            .end(),
        {},
        make,
      )
      expect(await failureOf(client.get('/'))).toMatchObject({ code: 'ORIGIN_NOT_ALLOWED' })
      expect(await failureOf(client.fetch(`${server.origin}/`))).toMatchObject({ code: 'ORIGIN_NOT_ALLOWED' })
      expect(evil.server.requests).toBe(0)
    })

    it.each([
      'data:text/plain,hello',
      'file:///etc/passwd',
      'ftp://127.0.0.1/',
      'http://',
      'http://user:hunter2@127.0.0.1/',
      'http://user:hunter2@127.0.0.1:no/',
    ])('to %s are refused, secrets unseen', async (location) => {
      const { client } = await serve(
        (_request, response) => response.writeHead(302, { location }).end(),
        {},
        make,
      )
      const error = await failureOf(client.get('/'))
      expect(error.code).toBe('BAD_REQUEST')
      expect(inspect(error)).not.toMatch(/hunter2/)
    })

    it('carry no Host of the first origin to the second', async () => {
      const { client, other } = await twoOrigins(302)
      const { headers } = await client.get<{ headers: Record<string, string> }>('/', {
        headers: { host: 'inner.test' },
      })
      expect(headers.host).toBe(`127.0.0.1:${other.port}`)
    })

    it('written in raw UTF-8 lead where they mean to', async () => {
      const seen: string[] = []
      const { client } = await serveRaw(
        (socket, head) => {
          seen.push(head.split(' ')[1] as string)
          socket.end(
            seen.length === 1
              ? 'HTTP/1.1 302 Found\r\nlocation: /sch\u00f6n\u2713\r\ncontent-length: 0\r\n\r\n'
              : 'HTTP/1.1 204 No Content\r\n\r\n',
          )
        },
        {},
        make,
      )
      await client.get('/')
      expect(seen).toEqual(['/', '/sch%C3%B6n%E2%9C%93'])
    })

    it('that go round end at maxRedirects', async () => {
      const { server, client } = await serve(
        (request, response) =>
          response.writeHead(302, { location: request.url === '/a' ? '/b' : '/a' }).end(),
        { maxRedirects: 4 },
        make,
      )
      expect(await failureOf(client.get('/a'))).toMatchObject({ code: 'TOO_MANY_REDIRECTS', attempts: 1 })
      expect(server.requests).toBe(5)
      expect(await failureOf(client.fetch(`${server.origin}/a`))).toMatchObject({
        name: 'TypeError',
        cause: { code: 'TOO_MANY_REDIRECTS' },
      })
    })

    it('turn a POST into a GET without its body, or keep both', async () => {
      const moved = await twoOrigins(303)
      expect(await moved.client.post('/', { a: 1 })).toMatchObject({ method: 'GET', body: '' })
      const kept = await twoOrigins(308)
      expect(await kept.client.post('/', { a: 1 })).toMatchObject({ method: 'POST', body: '{"a":1}' })
    })
  })

  describe('a header cannot smuggle another', () => {
    it.each(['a\r\nevil: 1', 'a\nevil: 1', 'a\revil', 'a\u0000b'])(
      '%j as a value throws before anything is sent',
      async (value) => {
        const { server, client } = await serve((_request, response) => json(response, 1), {}, make)
        const tries = [
          client.get('/', { headers: { 'x-a': value } }),
          client.get('/', { headers: { [value]: 'x' } }),
          client.get('/', { headers: [['x-a', value]] }),
          client.get('/', { idempotencyKey: value }),
          client.put('/', 'x', { headers: { 'content-type': value } }),
        ]
        for (const call of tries) expect(await failureOf(call)).toMatchObject({ code: 'BAD_REQUEST' })
        expect(() => new ApiClient({ headers: { 'x-a': value } })).toThrow(/header/)
        expect(server.requests).toBe(0)
      },
    )

    it('a name in a form cannot end its line', async () => {
      const { server, client } = await serve((_request, response) => json(response, 1), {}, make)
      for (const name of ['a\r\nb', 'a\nb', 'a\u0000b']) {
        const form = new FormData()
        form.set(name, 'x')
        const file = new FormData()
        file.set('file', new Blob(['x']), name)
        expect(await failureOf(client.post('/', form))).toMatchObject({ code: 'BAD_REQUEST' })
        expect(await failureOf(client.post('/', file))).toMatchObject({ code: 'BAD_REQUEST' })
      }
      expect(server.requests).toBe(0)
    })

    it('an interceptor cannot either', async () => {
      const { server, client } = await serve((_request, response) => json(response, 1), {}, make)
      client.addRequestInterceptor((config) => {
        config.headers['x-a'] = 'a\r\nevil: 1'
      })
      expect(await failureOf(client.get('/'))).toMatchObject({ code: 'BAD_REQUEST' })
      expect(server.requests).toBe(0)
    })

    it('a path or parameter with line ends stays one line', async () => {
      const seen: string[] = []
      const { client } = await serveRaw(
        (socket, head) => {
          seen.push(head)
          socket.end('HTTP/1.1 204 No\r\n\r\n')
        },
        {},
        make,
      )
      await client.get('/a\r\nevil: 1', { params: { q: 'b\r\nevil: 2' } })
      expect(seen).toHaveLength(1)
      expect(seen[0]).not.toMatch(/^evil/m)
    })
  })

  describe('nothing pollutes a prototype', () => {
    it('neither JSON nor header nor parameter called __proto__', async () => {
      const { client } = await serve(
        (request, response) =>
          response
            .writeHead(200, {
              'content-type': 'application/json',
              __proto__: 'x',
              'x-url': encodeURIComponent(request.url),
            })
            .end('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
        {},
        make,
      )
      const options = JSON.parse(
        '{"headers":{"__proto__":"a"},"params":{"__proto__":{"x":1}}}',
      ) as RequestOptions
      const body = await client.get('/', options)
      expect(Object.keys(body as object)).toEqual(['constructor'])
      const polluting = JSON.parse('{"__proto__":{"retries":9}}') as RequestOptions
      expect(await failureOf(client.get('/', polluting))).toMatchObject({ name: 'TypeError' })
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    })

    it('options are read from the object itself, not from what it inherits', async () => {
      const inherited = Object.create({ maxRedirects: 0, baseURL: 'https://evil.test' })
      const client = clientFor(inherited)
      expect(client.baseURL).toBeUndefined()
    })

    it('a polluted Object.prototype changes no request', async () => {
      const { client } = await serve((request, response) => json(response, request.headers), {}, make)
      Object.assign(Object.prototype, { 'x-evil': '1' })
      try {
        const headers = (await client.get('/', { headers: { 'x-good': '1' } })) as Record<string, string>
        expect(Object.keys(headers)).toContain('x-good')
        expect(Object.keys(headers)).not.toContain('x-evil')
      } finally {
        delete (Object.prototype as Record<string, unknown>)['x-evil']
      }
    })
  })

  it('secrets are in no error, log, event or view of anything, however a call fails', async () => {
    const secret = 'hunter2-7f3a'
    const seen: unknown[] = []
    const log = (...parts: unknown[]) => seen.push(...parts)
    const logger = { debug: log, info: log, warn: log, error: log }
    const { server, client } = await serve(
      (request, response) => {
        switch (new URL(request.url, 'http://x').pathname) {
          case '/status':
            return response
              .writeHead(500, { 'set-cookie': `sid=${secret}`, 'x-auth-token': secret })
              .end('no')
          case '/json':
            return response.writeHead(200, { 'content-type': 'application/json' }).end(secret)
          case '/cut':
            response.writeHead(200, { 'content-length': '100' }).write('half')
            return setTimeout(() => response.destroy(), 10)
          case '/moved':
            return response.writeHead(302, { location: `https://elsewhere.test/?token=${secret}` }).end()
          case '/round':
            return response.writeHead(302, { location: `/round?api_key=${secret}` }).end()
          case '/lines':
            return response.end(`${secret}\n`)
          case '/ok':
            return json(response, { ok: true })
        }
      },
      {
        headers: { authorization: `Bearer ${secret}`, 'x-api-key': secret },
        enableLogging: true,
        logger,
        timeout: 400,
        retries: 1,
        circuitBreaker: false,
      },
      make,
    )
    for (const event of [
      'attempt',
      'retry',
      'breaker',
      'limited',
      'learned',
      'hedge',
      'response',
      'failure',
    ] as const)
      client.on(event, (told: unknown) => seen.push(told))
    const params = { token: secret, password: secret, 'api-key': secret, page: 1 }
    const options = { params, headers: { cookie: `sid=${secret}` } }
    const fetched = (path: string) => client.fetch(`${server.origin}${path}?token=${secret}`)
    await client.get('/ok', options)
    await (await fetched('/ok')).text()
    for (const path of ['/status', '/json', '/cut', '/moved', '/round', '/silence', '/after']) {
      seen.push(await failureOf(client.get(path, options)))
      // A Response is the platform's own and the caller's: it shows what it holds.
      await fetched(path).then(
        (response) => response.body?.cancel(),
        (error) => seen.push(error),
      )
    }
    const lines = async () => {
      for await (const _ of client.stream('/lines', { format: 'ndjson', params }));
    }
    seen.push(await failureOf(lines()))
    seen.push(await failureOf(client.get(`http://user:${secret}@exa mple.test/`)))
    seen.push(await failureOf(client.get(`https://user:${secret}@example.test/`)))
    seen.push(await failureOf(client.get(`//user:${secret}@exa mple/`)))
    seen.push(await failureOf(client.get('/ok', { headers: { 'x-secret': `${secret}\n\u2603` } })))
    seen.push(await failureOf(client.get('/ok', { schema: { nonsense: secret } as never })))
    const refused = clientFor({ baseURL: `http://127.0.0.1:${await closedPort()}`, retries: 0 }, make)
    seen.push(await failureOf(refused.get('/', options)))
    refused.isolateCircuitBreaker()
    seen.push(await failureOf(refused.get('/', options)))
    seen.push(client, client.getStats(), client.rateLimiter.getStats(), client.snapshotCircuitBreakers())
    expect(seen.length).toBeGreaterThan(40)
    for (const thing of seen) {
      const views = [inspect(thing, { depth: 10 }), JSON.stringify(thing) ?? '']
      if (thing instanceof Error)
        views.push(String(thing), thing.message, thing.stack ?? '', JSON.stringify({ ...thing }))
      for (const view of views) expect(view).not.toContain(secret)
    }
    expect(
      new Set(
        seen.filter((thing) => thing instanceof Error).map((error) => (error as { code?: string }).code),
      ).size,
    ).toBeGreaterThanOrEqual(7)
  })
})

describe('what is kept in memory is bounded', () => {
  it('endpoints that are made up gain nothing and weigh nothing', async () => {
    const { client } = virtual(() => ({ after: Number.POSITIVE_INFINITY }), {
      rateLimiter: true,
      rateLimiterOptions: { maxEndpoints: 50 },
    })
    for (let path = 0; path < 500; path += 1) client.get(`/made-up/${path}`).catch(() => {})
    expect(client.rateLimiter.buckets.size).toBeLessThanOrEqual(51)
    client.dispose()
    expect(new RateLimiter({ maxEndpoints: 1 }).buckets.size).toBe(0)
  })

  it('origins that are called once do not pile up breakers', async () => {
    const { clock, client } = virtual(() => ({}), { baseURL: undefined as never })
    for (let host = 0; host < 1000; host += 1) client.get(`https://h${host}.test/`).catch(() => {})
    await clock.advance(1)
    for (let host = 0; host < 1000; host += 1) client.isolateCircuitBreaker(`https://i${host}.test/`)
    expect(Object.keys(client.snapshotCircuitBreakers()).length).toBeLessThanOrEqual(1000)
    expect(client.getCircuitBreakerState('https://h0.test').requestCount).toBe(0)
    expect(client.getCircuitBreakerState('https://h999.test').requestCount).toBeLessThanOrEqual(1)
  })
})

it('user info never survives redaction, however broken the URL', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('http://', 'https://', '//', 'http:\\\\', 'ws://', 'foo://'),
      fc.string({ unit: fc.constantFrom('a', '/', '\\', ' ', ':', '[', '%', '.') }),
      fc.constantFrom('', '/', ':', '[', ' '),
      (scheme, noise, before) => {
        const url = `${scheme}user${before}:hunter2${noise}@exa mple.test/path`
        // What is a URL after all has a path, and paths are shown.
        if (!URL.canParse(url)) expect(redactUrl(url)).not.toContain('hunter2')
      },
    ),
  )
})

it('a response that comes too late for its caller is dropped with its connection', async () => {
  const { server, client } = await serve(
    (_request, response) => {
      response.writeHead(200, { 'content-length': 1_000_000 }).write(Buffer.alloc(1000))
    },
    { timeout: 40, retries: 0 },
  )
  await failureOf(client.get('/'))
  await until(() => server.connections === 0, 'the connection closes')
})
