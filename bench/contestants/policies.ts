// One operation of every policy, as it is when all is well, which is nearly always.

import type { Case as AnyCase, Operation, Suite } from './operations.ts'

type Library = typeof import('guru-comms/policies')
type Security = typeof import('guru-comms/security/InputValidator')

interface Libraries {
  policies: Library
  security: Security
}

type Case = AnyCase<Libraries>

const UNLIMITED = { limits: { api: { tokensPerSecond: 1e9, burstCapacity: 1e9 } } }
/** What all policies wrap: work that is done at once. */
const done = Promise.resolve('done')
const work = () => done

function policy(
  name: string,
  make: (library: Library) => { execute(operation: () => unknown): unknown },
): Case {
  return {
    name,
    kind: 'ours',
    async: true,
    make({ policies }) {
      const made = make(policies)
      return () => made.execute(work)
    },
  }
}

function step(name: string, make: (libraries: Libraries) => Operation): Case {
  return { name, kind: 'ours', async: false, make }
}

function peer(name: string, async: boolean, make: () => Promise<Operation>): Case {
  return { name, kind: 'peer', async, make }
}

/** The four defaults around a resolved promise: what ApiClient's calls go through. */
export const DEFAULT_STACK = 'retry + breaker + limiter + timeout'

export const cases: Record<string, Case> = {
  await: { name: 'await a resolved promise', kind: 'base', async: true, make: () => work },
  stack: policy(DEFAULT_STACK, ({ compose, retry, circuitBreaker, rateLimit, timeout }) =>
    compose(retry(), circuitBreaker(), rateLimit({ limiter: UNLIMITED }), timeout(12_000)),
  ),
  retry: policy('retry', ({ retry }) => retry()),
  breaker: policy('circuitBreaker', ({ circuitBreaker }) => circuitBreaker()),
  limiter: policy('rateLimit', ({ rateLimit }) => rateLimit({ limiter: UNLIMITED })),
  timeout: policy('timeout', ({ timeout }) => timeout(12_000)),
  bulkhead: policy('bulkhead', ({ bulkhead }) => bulkhead()),
  hedge: policy('hedge', ({ hedge }) => hedge({ delay: 1000 })),
  throttle: policy('adaptiveThrottle', ({ adaptiveThrottle }) => adaptiveThrottle()),
  'breaker-step': step('BreakerMachine: acquire and record', ({ policies }) => {
    const machine = new policies.BreakerMachine({
      threshold: 5,
      timeout: 60_000,
      volumeThreshold: 10,
      failureRate: 0.5,
      window: 60_000,
      halfOpenRequests: 1,
      slowCallDuration: Number.POSITIVE_INFINITY,
      slowCallRate: 1,
      maxTimeout: 60_000,
      probeTimeout: 60_000,
    })
    let now = 0
    return () => {
      now += 0.05
      machine.record(machine.acquire(now), 'success', now + 10, 10)
    }
  }),
  'bucket-step': step('TokenBucket.tryConsume', ({ policies }) => {
    const bucket = new policies.TokenBucket(1e9, 1e9)
    return () => bucket.tryConsume()
  }),
  'limiter-step': step('RateLimiter.check, one endpoint', ({ policies }) => {
    const limiter = new policies.RateLimiter(UNLIMITED)
    return () => limiter.check('GET /v1/models')
  }),
  'limiter-many': step('RateLimiter.check, 1000 endpoints in turn', ({ policies }) => {
    const limiter = new policies.RateLimiter(UNLIMITED)
    const endpoints = Array.from({ length: 1000 }, (_, index) => `GET /v1/items/${index}`)
    let index = 0
    return () => {
      index = index === 999 ? 0 : index + 1
      limiter.check(endpoints[index] ?? '')
    }
  }),
  'backoff-step': step('backoffDelay', ({ policies }) => {
    const backoff = { baseMs: 500, factor: 2, maxMs: 30_000, jitter: policies.jitterRanges.full }
    let attempt = 0
    return () => {
      attempt = (attempt % 8) + 1
      return policies.backoffDelay(backoff, attempt, Math.random)
    }
  }),
  'budget-step': step('RetryBudget.deposit', ({ policies }) => {
    const budget = new policies.RetryBudget()
    let now = 0
    return () => {
      now += 0.01
      budget.deposit(now)
    }
  }),
  'validate-text': step('InputValidator.validateString, 100 characters, three detectors', ({ security }) => {
    const validator = new security.InputValidator()
    const text =
      'A friendly question about the weather in Lisbon, and what to pack for a week of walking there. Thanks!'
    const rules = { maxLength: 1000, noXss: true, noSqlInjection: true, noCommandInjection: true }
    return () => validator.validateString(text, rules)
  }),
  cockatiel: peer('cockatiel: retry + breaker + timeout', true, async () => {
    const { SamplingBreaker, TimeoutStrategy, circuitBreaker, handleAll, retry, timeout, wrap } =
      await import('cockatiel')
    const stack = wrap(
      retry(handleAll, { maxAttempts: 2 }),
      circuitBreaker(handleAll, {
        halfOpenAfter: 60_000,
        breaker: new SamplingBreaker({ threshold: 0.5, duration: 60_000 }),
      }),
      timeout(12_000, TimeoutStrategy.Cooperative),
    )
    return () => stack.execute(work)
  }),
  'cockatiel-retry': peer('cockatiel: retry', true, async () => {
    const { handleAll, retry } = await import('cockatiel')
    const made = retry(handleAll, { maxAttempts: 2 })
    return () => made.execute(work)
  }),
  'cockatiel-breaker': peer('cockatiel: circuitBreaker', true, async () => {
    const { SamplingBreaker, circuitBreaker, handleAll } = await import('cockatiel')
    const breaker = new SamplingBreaker({ threshold: 0.5, duration: 60_000 })
    const made = circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker })
    return () => made.execute(work)
  }),
  'cockatiel-timeout': peer('cockatiel: timeout', true, async () => {
    const { TimeoutStrategy, timeout } = await import('cockatiel')
    const made = timeout(12_000, TimeoutStrategy.Cooperative)
    return () => made.execute(work)
  }),
  'cockatiel-bulkhead': peer('cockatiel: bulkhead', true, async () => {
    const { bulkhead } = await import('cockatiel')
    const made = bulkhead(10)
    return () => made.execute(work)
  }),
  opossum: peer('opossum: breaker with timeout', true, async () => {
    const { default: CircuitBreaker } = await import('opossum')
    const made = new CircuitBreaker(work, { timeout: 12_000 })
    return () => made.fire()
  }),
  'limiter-peer': peer('limiter: RateLimiter.tryRemoveTokens', false, async () => {
    const { RateLimiter } = await import('limiter')
    const made = new RateLimiter({ tokensPerInterval: 1e9, interval: 'second' })
    return () => made.tryRemoveTokens(1)
  }),
  bottleneck: peer('Bottleneck.schedule', true, async () => {
    const { default: Bottleneck } = await import('bottleneck')
    const made = new Bottleneck({ maxConcurrent: 100 })
    return () => made.schedule(work)
  }),
}

export const suite: Suite<Libraries> = {
  cases,
  libraries: async (load) => ({
    policies: await load('policies/index.js'),
    security: await load('security/InputValidator.js'),
  }),
}
