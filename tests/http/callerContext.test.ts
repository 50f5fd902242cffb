// Whatever runs for a call runs in the asynchronous context of its caller, whoever woke it: a timer or a socket that another call
// has opened, a signal that somebody aborts. With several tenants in a process, data would cross over otherwise.

import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ApiClient, ApiClientOptions } from '../../src/ApiClient.ts'
import {
  circuitBreaker,
  compose,
  fallback,
  hedge,
  rateLimit,
  retry,
  timeout,
} from '../../src/policies/index.ts'
import { failureOf, json, serve, transports } from '../support/apiClients.ts'

interface Tracker {
  run<T>(id: string, work: () => T): T
  current(): unknown
}

const storage = new AsyncLocalStorage<string>()
const key = createContextKey('caller')
const manager = new AsyncLocalStorageContextManager()
const trackers: [string, Tracker][] = [
  ['AsyncLocalStorage', { run: (id, work) => storage.run(id, work), current: () => storage.getStore() }],
  [
    'OpenTelemetry’s context manager',
    {
      run: (id, work) => context.with(ROOT_CONTEXT.setValue(key, id), work),
      current: () => context.active().getValue(key),
    },
  ],
]

beforeAll(() => {
  context.setGlobalContextManager(manager.enable())
})
afterAll(() => context.disable())

/** What ran for whom, and for whom it should have. */
class Seen {
  readonly wrong: string[] = []
  readonly places = new Map<string, number>()
  readonly #tracker: Tracker

  constructor(tracker: Tracker) {
    this.#tracker = tracker
  }

  note(place: string, id: unknown): void {
    this.places.set(place, (this.places.get(place) ?? 0) + 1)
    const current = this.#tracker.current()
    if (current !== id) this.wrong.push(`${place} of ${id} ran for ${current}`)
  }

  /** Not every error tells of a URL; then it must have been for one of the callers at least. */
  noteError(place: string, error: unknown): void {
    const id = idOf((error as { url?: unknown }).url)
    const current = String(this.#tracker.current())
    this.note(place, id ?? (ids.includes(current) ? current : 'a caller'))
  }
}

/** The caller's number goes with the URL, so that a URL tells for whom something is. */
const idOf = (url: unknown) => /caller=(\d+)/.exec(String(url))?.[1]

/** First attempts fail in every way there is, by the caller's number; later ones are answered. */
const misbehave: Parameters<typeof serve>[0] = (request, response) => {
  const id = Number(idOf(request.url))
  const attempt = Number(request.headers['x-attempt'] ?? 1)
  const tried = tries.get(request.url) ?? 0
  tries.set(request.url, tried + 1)
  if (request.url.startsWith('/moved')) {
    json(response, { id })
    return
  }
  if (tried === 0 && attempt === 1) {
    switch (id % 5) {
      case 0:
        response.writeHead(503).end()
        return
      case 1:
        response.destroy()
        return
      case 2:
        return // Never answered: its time runs out.
      case 3:
        response.writeHead(307, { location: `/moved?caller=${id}` }).end()
        return
    }
  }
  if (request.url.startsWith('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end('data: 1\n\ndata: 2\n\n')
  } else json(response, { id })
}
const tries = new Map<string, number>()

const options: ApiClientOptions = {
  // On a slow machine, second attempts may run out of time too.
  retries: 50,
  retryDelay: 5,
  timeout: 500,
  circuitBreaker: false,
  retryBudget: { ratio: 100 },
}

function watch(client: ApiClient, seen: Seen): void {
  for (const event of ['attempt', 'retry', 'limited', 'hedge', 'response', 'failure'] as const)
    client.on(event, ({ url }) => seen.note(event, idOf(url)))
  client.addRequestInterceptor((config) => seen.note('request interceptor', idOf(config.url)))
  client.addResponseInterceptor(async ({ url }) => {
    seen.note('response interceptor', idOf(url))
    await undefined
    seen.note('later in it', idOf(url))
  })
  client.addErrorInterceptor((error) => seen.noteError('error interceptor', error))
}

const ids = Array.from({ length: 200 }, (_, index) => String(index))

describe.each(transports)('the stack of an error names who asked, through %s', (_name, make) => {
  it.each<[string, Parameters<typeof serve>[0], ApiClientOptions, string]>([
    ['a status', (_request, response) => response.writeHead(500).end(), {}, 'HTTP_STATUS'],
    [
      'a status after a retry',
      (_request, response) => response.writeHead(500).end(),
      { retries: 1 },
      'HTTP_STATUS',
    ],
    ['a cut connection', (_request, response) => response.destroy(), {}, 'NETWORK'],
    ['no answer', () => {}, { timeout: 20 }, 'TIMEOUT'],
    [
      'an answer that is not what it says',
      (_request, response) => {
        response.setHeader('content-type', 'application/json')
        response.end('{')
      },
      {},
      'BAD_RESPONSE',
    ],
  ])('%s', async (_what, handle, options, code) => {
    const { client } = await serve(handle, { retries: 0, ...options }, make)
    const error = await failureOf(
      (async function theOneWhoAsked() {
        await client.get('/')
      })(),
    )
    expect(error.code).toBe(code)
    expect(error.stack).toMatch(/theOneWhoAsked/)
  })

  it('aborted by another, refused at once, ended with the client', async () => {
    const { client } = await serve(() => {}, {}, make)
    const controller = new AbortController()
    const failures = [
      failureOf(
        (async function theOneWhoAsked() {
          await client.get('/', { signal: controller.signal })
        })(),
      ),
      failureOf(
        (async function theOneWhoAsked() {
          await client.get('https://elsewhere.test')
        })(),
      ),
      failureOf(
        (async function theOneWhoAsked() {
          await client.get('/')
        })(),
      ),
      failureOf(
        (async function theOneWhoAsked() {
          client.isolateCircuitBreaker()
          await client.get('/')
        })(),
      ),
    ]
    setTimeout(() => controller.abort(), 5)
    await failures[0]
    client.dispose()
    const errors = await Promise.all(failures)
    const codes = ['ABORTED', 'ORIGIN_NOT_ALLOWED', 'DISPOSED', 'CIRCUIT_OPEN']
    expect(errors.map(({ code }) => code)).toEqual(codes)
    for (const { stack } of errors) expect(stack).toMatch(/theOneWhoAsked/)
  })
})

it('the stack of a timeout of a policy by itself names who asked', async () => {
  const error = await failureOf(
    (async function theOneWhoAsked() {
      await timeout(5).execute(() => new Promise(() => {}))
    })(),
  )
  expect(error.stack).toMatch(/theOneWhoAsked/)
})

describe.each(trackers)('in %s', (_tracker, tracker) => {
  describe.each(transports)('through %s', (transportName, make) => {
    it('calls of hundreds that interleave: bodies, hooks, events, interceptors, progress', async () => {
      tries.clear()
      const seen = new Seen(tracker)
      const { client } = await serve(
        misbehave,
        {
          ...options,
          shouldRetry: async (error) => {
            seen.noteError('shouldRetry', error)
            return true
          },
        },
        make,
      )
      watch(client, seen)
      const onRequest = (message: unknown) => {
        const { path } = (message as { request: { path: string } }).request
        if (idOf(path) !== undefined) seen.note('undici:request:create', idOf(path))
      }
      diagnostics.subscribe('undici:request:create', onRequest)
      const call = (id: string) =>
        client.put(
          `/things?caller=${id}`,
          () => {
            seen.note('body', id)
            return JSON.stringify({ id })
          },
          {
            headers: { 'content-type': 'application/json' },
            onUploadProgress: () => seen.note('onUploadProgress', id),
            onDownloadProgress: () => seen.note('onDownloadProgress', id),
            schema: {
              '~standard': {
                version: 1,
                vendor: 'test',
                validate: (value) => {
                  seen.note('schema', id)
                  return { value }
                },
              },
            },
          },
        )
      const answers = await Promise.all(ids.map((id) => tracker.run(id, () => call(id))))
      diagnostics.unsubscribe('undici:request:create', onRequest)
      expect(answers).toEqual(ids.map((id) => ({ id: Number(id) })))
      expect(seen.wrong.slice(0, 10)).toEqual([])
      for (const place of ['body', 'shouldRetry', 'attempt', 'retry', 'response', 'later in it', 'schema'])
        expect(seen.places.get(place), place).toBeGreaterThanOrEqual(100)
      expect(seen.places.get('onDownloadProgress')).toBeGreaterThanOrEqual(200)
      if (transportName === 'undici')
        expect(seen.places.get('undici:request:create')).toBeGreaterThanOrEqual(300)
    })

    it('failures: by time, by a signal that another aborts, by the end of the client', async () => {
      const seen = new Seen(tracker)
      const { client } = await serve(() => {}, { ...options, retries: 0, timeout: 100 }, make)
      watch(client, seen)
      const controller = new AbortController()
      const calls = ids.map((id, index) =>
        tracker.run(id, () =>
          client.get(`/?caller=${id}`, {
            timeout: index % 3 === 0 ? 60 : 100_000,
            ...(index % 3 === 1 && { signal: controller.signal }),
          }),
        ),
      )
      const settled = Promise.allSettled(calls)
      await new Promise((resolve) => setTimeout(resolve, 150))
      tracker.run('somebody else', () => controller.abort())
      await new Promise((resolve) => setTimeout(resolve, 20))
      tracker.run('the owner', () => client.dispose())
      const codes = (await settled).map((result) => result.status === 'rejected' && result.reason.code)
      expect(new Set(codes)).toEqual(new Set(['TIMEOUT', 'ABORTED', 'DISPOSED']))
      expect(seen.wrong.slice(0, 10)).toEqual([])
      expect(seen.places.get('failure')).toBe(200)
    })

    it('waits for tokens, retries that wait for theirs, hedges, and a policy around it all', async () => {
      tries.clear()
      const seen = new Seen(tracker)
      const policy = compose(
        fallback(() => seen.note('substitute', tracker.current()), {
          onFallback: (error) => seen.noteError('onFallback', error),
        }),
        timeout(30_000, { phase: 'deadline' }),
      )
      for (const rateLimitMode of ['wait', 'reject'] as const) {
        const { client } = await serve(
          misbehave,
          {
            ...options,
            policy,
            rateLimitMode,
            rateLimiter: true,
            rateLimiterOptions: { limits: { api: { tokensPerSecond: 200, burstCapacity: 30 } } },
            hedge: hedge({ delay: 20 }),
          },
          make,
        )
        watch(client, seen)
        await Promise.all(
          ids.map((id) =>
            tracker.run(id, () => client.get(`/${rateLimitMode}?caller=${id}`, { rateCost: 1 })),
          ),
        )
        // All in one bucket, so that they wait for each other.
        await Promise.all(
          ids.slice(0, 60).map((id) => tracker.run(id, () => client.get(`/same?caller=${id}`))),
        )
      }
      expect(seen.wrong.slice(0, 10)).toEqual([])
      expect(seen.places.get('limited')).toBeGreaterThan(30)
      expect(seen.places.get('hedge')).toBeGreaterThan(30)
      expect(seen.places.get('onFallback')).toBeGreaterThan(10)
    })

    it('client.fetch and stream(): retries, events and what reads', async () => {
      tries.clear()
      const seen = new Seen(tracker)
      const { client } = await serve(misbehave, options, make)
      watch(client, seen)
      await Promise.all(
        ids.map((id, index) =>
          tracker.run(id, async () => {
            const url = `${client.baseURL}/${index % 2 ? 'x' : 'events'}?caller=${id}`
            if (index % 2) {
              const response = await client.fetch(url)
              seen.note('after fetch', id)
              await response.json()
            } else {
              const path = index % 5 === 3 ? `/plain?caller=${id}` : `/events?caller=${id}`
              if (index % 5 !== 3)
                for await (const { data } of client.stream(path)) seen.note(`reading ${data}`, id)
            }
            seen.note('after the body', id)
          }),
        ),
      )
      expect(seen.wrong.slice(0, 10)).toEqual([])
      expect(seen.places.get('retry')).toBeGreaterThan(80)
      expect(seen.places.get('reading 2')).toBe(80)
      expect(seen.places.get('after the body')).toBe(200)
    })
  })

  it('policies by themselves: attempts after a timeout, waits and hedges', async () => {
    const seen = new Seen(tracker)
    let active = ''
    const stack = () =>
      compose(
        timeout(20_000, { phase: 'deadline' }),
        hedge({ delay: 40, onHedge: () => seen.note('onHedge', tracker.current()) }),
        retry({
          retries: 4,
          retryDelay: 2,
          handle: (error) => {
            seen.note('handle', (error as { id?: string }).id ?? tracker.current())
            return true
          },
          onRetry: () => seen.note('onRetry', tracker.current()),
          shouldRetry: () => true,
        }),
        circuitBreaker({ volumeThreshold: 1e6 }),
        rateLimit({
          mode: 'wait',
          limiter: { limits: { api: { tokensPerSecond: 2000, burstCapacity: 20 } } },
        }),
        timeout(30),
      )
    const policy = stack()
    await Promise.all(
      ids.map((id, index) =>
        tracker.run(id, () => {
          active = id
          return policy.execute(async ({ attempt, signal }) => {
            seen.note('operation', id)
            if (attempt > 2) return id
            if (index % 2) throw Object.assign(new Error('down'), { id })
            await new Promise((_, reject) => {
              signal?.addEventListener('abort', () => {
                seen.note('abort listener', id)
                reject(signal.reason)
              })
            })
            return id
          })
        }),
      ),
    )
    expect(active).toBe('199')
    expect(seen.wrong.slice(0, 10)).toEqual([])
    expect(seen.places.get('operation')).toBeGreaterThan(600)
    expect(seen.places.get('abort listener')).toBeGreaterThan(100)
  })
})
