// A program of its own, so that what it holds can be measured: makes calls to the server it is told of and prints what is left.
// node --expose-gc -C guru-source memoryProbe.ts <transport> <scenario> <origin>

import { getEventListeners } from 'node:events'
import { ApiClient } from '../../src/ApiClient.ts'
import { createHttpTransport as createFetchTransport } from '../../src/transport/fetchTransport.ts'
import { createHttpTransport as createUndiciTransport } from '../../src/transport/undiciTransport.ts'

const [kind, scenario, origin] = process.argv.slice(2) as [string, string, string]
const create = kind === 'undici' ? createUndiciTransport : createFetchTransport
const collect = (globalThis as unknown as { gc(): void }).gc
const MB = 1024 * 1024

const client = new ApiClient({
  baseURL: origin,
  transport: create({ connectTimeout: 10_000, maxHeaderBytes: 64 * 1024 }),
  rateLimiter: false,
  retries: 0,
  circuitBreaker: scenario === 'many',
  retryDelay: 1,
  // What is measured is memory, on however slow a machine.
  timeout: 100_000,
  maxResponseBytes: 4 * MB,
})

/** Heap in use, once nothing more can be given back. */
async function heap(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    collect()
    least = Math.min(least, process.memoryUsage().heapUsed)
  }
  return least
}

/** Ten thousand calls of every kind on one signal. */
async function many(): Promise<void> {
  const { signal } = new AbortController()
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
  let warnings = 0
  process.on('warning', () => {
    warnings += 1
  })
  const options = { signal, deadline: 60_000 }
  const one = async (index: number) => {
    switch (index % 5) {
      case 0:
        return client.get('/json', options)
      case 1:
        return client.post('/json', { index }, options)
      case 2:
        return client.get('/missing', options).catch(() => {})
      case 3:
        return new Response(
          (await client.get('/json', { ...options, responseType: 'stream' })) as ReadableStream,
        ).text()
      default:
        return (await client.fetch(`${origin}/json`, { signal })).text()
    }
  }
  const run = async (calls: number) => {
    for (let index = 0; index < calls; index += 25) {
      await Promise.all(Array.from({ length: 25 }, (_, offset) => one(index + offset)))
    }
  }
  await run(8000)
  const before = await heap()
  await run(10_000)
  const after = await heap()
  const { totalRequests, inFlight } = client.getStats()
  const timers = process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  client.dispose()
  await new Promise((resolve) => setTimeout(resolve, 100))
  const left = process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  console.log(
    JSON.stringify({
      listeners,
      most,
      warnings,
      totalRequests,
      inFlight,
      timers,
      left,
      grownBytes: after - before,
    }),
  )
}

/** Fetches that nobody cares for, `FETCHES` of them: what is left when they have been collected. */
async function neglected(): Promise<void> {
  const { signal } = new AbortController()
  const one: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    unread: () => client.fetch(`${origin}/json`, { signal }),
    'unread-large': () => client.fetch(`${origin}/large`, { signal }),
    aborted: async () => {
      const controller = new AbortController()
      const call = client.fetch(`${origin}/never`, { signal: controller.signal })
      setImmediate(() => controller.abort())
      await call.catch(() => {})
    },
    failed: () => client.fetch('http://127.0.0.1:9/', { signal }).catch(() => {}),
  }
  const call = one[scenario] as (signal: AbortSignal) => Promise<unknown>
  const run = async (calls: number) => {
    for (let index = 0; index < calls; index += 25) {
      await Promise.all(Array.from({ length: 25 }, () => call(signal)))
      // Collected now and then, as in any process that goes on.
      if (index % 250 === 0) {
        collect()
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
  const total = Number(process.env.FETCHES ?? 1000)
  await run(total)
  const before = await heap()
  await run(total)
  // Sockets close, and registries of what was collected are gone through, in their own time.
  const count = (kind: string) =>
    process.getActiveResourcesInfo().filter((resource) => resource === kind).length
  for (
    let round = 0;
    round < 100 && (client.getStats().inFlight > 0 || count('TCPSocketWrap') > 25);
    round += 1
  )
    await heap()
  const after = await heap()
  const { inFlight } = client.getStats()
  const sockets = count('TCPSocketWrap')
  client.dispose()
  await new Promise((resolve) => setTimeout(resolve, 100))
  console.log(
    JSON.stringify({
      inFlight,
      sockets,
      listeners: getEventListeners(signal, 'abort').length,
      timersLeft: count('Timeout'),
      grownBytes: after - before,
    }),
  )
}

/** An attack, and the most memory that the process ever had beyond what it started with. */
async function attacked(): Promise<void> {
  await client.get('/json')
  const before = process.memoryUsage().rss
  let most = before
  // What nobody holds is not counted, or the figure would tell how long the collector took its time.
  const watch = setInterval(() => {
    collect()
    most = Math.max(most, process.memoryUsage().rss)
  }, 20)
  const codes: string[] = []
  for (let round = 0; round < 3; round += 1) {
    codes.push(
      await client.get(scenario).then(
        () => 'answered',
        (error) => error.code,
      ),
    )
  }
  clearInterval(watch)
  most = Math.max(most, process.memoryUsage().rss)
  client.dispose()
  console.log(JSON.stringify({ codes, grownBytes: most - before }))
}

if (scenario === 'many') await many()
else await (scenario.startsWith('/') ? attacked() : neglected())
