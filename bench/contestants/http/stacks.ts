// What people compose when they need retry and a breaker (and a limiter): the parts as their own docs join them.

import { axiosRetry, got, ky, undiciRetryAgent } from './clients.ts'
import type { HttpContestant, MakeHttp } from './contestant.ts'

const UNLIMITED = 1e9

/** Puts `around` about every call of a client. */
function wrapped(
  client: HttpContestant,
  around: <T>(call: () => Promise<T>) => Promise<unknown>,
): HttpContestant {
  return {
    get: () => around(() => client.get()),
    post: (body) => around(() => client.post(body)),
  }
}

/** cockatiel's readme, "circuitBreaker": opens at half of the calls failed, like ours and opossum's. */
async function cockatielBreaker() {
  const { SamplingBreaker, circuitBreaker, handleAll } = await import('cockatiel')
  return circuitBreaker(handleAll, {
    halfOpenAfter: 60_000,
    breaker: new SamplingBreaker({ threshold: 0.5, duration: 60_000 }),
  })
}

/** opossum's README, "Usage": one breaker around the function that calls; the client has its own timeout. */
async function opossumAround(client: HttpContestant): Promise<HttpContestant> {
  const { default: CircuitBreaker } = await import('opossum')
  const options = {
    timeout: false,
    errorThresholdPercentage: 50,
    resetTimeout: 60_000,
    volumeThreshold: 10,
  } as const
  const get = new CircuitBreaker(() => client.get(), options)
  const post = new CircuitBreaker((body: unknown) => client.post(body), options)
  return { get: () => get.fire(), post: (body) => post.fire(body) }
}

export const retryAgentCockatiel: MakeHttp = async (origin) => {
  const breaker = await cockatielBreaker()
  return wrapped(await undiciRetryAgent(origin), (call) => breaker.execute(call))
}

/** limiter's README, "Reject instead of waiting", before the breaker: the nearest to our set of policies. */
export const retryAgentCockatielLimiter: MakeHttp = async (origin) => {
  const breaker = await cockatielBreaker()
  const { RateLimiter } = await import('limiter')
  const limiter = new RateLimiter({ tokensPerInterval: UNLIMITED, interval: 'second' })
  return wrapped(await undiciRetryAgent(origin), async (call) => {
    if (!limiter.tryRemoveTokens(1)) throw new Error('rate limit exceeded')
    return breaker.execute(call)
  })
}

export const axiosRetryOpossum: MakeHttp = async (origin) => opossumAround(await axiosRetry(origin))

export const gotOpossum: MakeHttp = async (origin) => opossumAround(await got(origin))

/** Bottleneck's README, "Wrap" and "Gotchas": with `maxConcurrent` set, and a reservoir that never runs dry. */
export const kyCockatielBottleneck: MakeHttp = async (origin) => {
  const breaker = await cockatielBreaker()
  const { default: Bottleneck } = await import('bottleneck')
  const limiter = new Bottleneck({
    maxConcurrent: 100,
    reservoir: UNLIMITED,
    reservoirRefreshAmount: UNLIMITED,
    reservoirRefreshInterval: 1000,
  })
  return wrapped(await ky(origin), (call) => limiter.schedule(() => breaker.execute(call)))
}
