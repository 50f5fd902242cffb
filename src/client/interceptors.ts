// Code of the app around every call: before the request, after the response, after a failure. Each runs once per call,
// however many attempts it takes.

import type { HttpHeaders } from '../transport/HttpTransport.ts'
import type { AttemptTimings } from './events.ts'
import type { RequestConfig } from './options.ts'

/** What request interceptors see and may change. `headers` is always a plain object. */
export interface InterceptedConfig extends Omit<RequestConfig, 'headers'> {
  method: string
  headers: Record<string, string>
}

/** What response interceptors see. */
export interface ClientResponse<T = unknown> {
  status: number
  /** Names in lower case. */
  headers: HttpHeaders
  /** Each `Set-Cookie` by itself: they cannot be joined. Empty in browsers, which hide them. */
  setCookie: readonly string[]
  /** The parsed body. */
  data: T
  /** Where it came from, secrets in the query replaced. */
  url: string
  /** As it was when it was sent. */
  config: InterceptedConfig
  /** How many attempts it took; 1 when the first was answered. */
  attempts: number
  /** Of each attempt, in order. */
  timings: AttemptTimings[]
}

/** Returns the config, changed or new; nothing means: go on with the same. */
export type RequestInterceptor = (
  config: InterceptedConfig,
  // biome-ignore lint/suspicious/noConfusingVoidType: an interceptor that only changes the config returns nothing
) => InterceptedConfig | void | PromiseLike<InterceptedConfig | void>

/** Returns what the next one, or the caller, gets; nothing means: go on with the same. */
// biome-ignore lint/suspicious/noExplicitAny: an interceptor may be given what the one before it returned, of any type
export type ResponseInterceptor = (response: any) => unknown

/** What an error interceptor may do about a failed call. */
export interface FailedCall {
  /** As it was sent. */
  readonly config: InterceptedConfig
  /** How many times it has been sent so far, replays included; each may have taken several attempts. */
  readonly attempt: number
  /**
   * Sends it once more, changed or not, under the same signal and deadline; what that comes to is what the call comes to, unless
   * the interceptor returns something else. Once for each interceptor.
   */
  readonly replay: (changes?: Partial<RequestConfig>) => Promise<unknown>
}

/** Returns nothing (the error goes on), another error, or a value that the call resolves to instead. */
// biome-ignore lint/suspicious/noExplicitAny: people read fields of their own errors
export type ErrorInterceptor = (error: any, call: FailedCall) => unknown

/** Waits for an interceptor no longer than its call may. */
export type Wait = <T>(work: T | PromiseLike<T>) => T | PromiseLike<T>

/** @throws what an interceptor throws */
export async function interceptRequest(
  interceptors: readonly RequestInterceptor[],
  config: InterceptedConfig,
  wait: Wait,
): Promise<InterceptedConfig> {
  let current = config
  for (const interceptor of interceptors) {
    const next = await wait(interceptor(current))
    if (next === undefined || next === null) continue
    if (typeof next !== 'object') {
      throw new TypeError(`a request interceptor must return the config or nothing, got ${typeof next}`)
    }
    current = next
  }
  return current
}

/** @returns what the caller gets: the body of a response that is still the same object, else what the last one returned */
export async function interceptResponse(
  interceptors: readonly ResponseInterceptor[],
  response: ClientResponse,
  wait: Wait,
): Promise<unknown> {
  let current: unknown = response
  for (const interceptor of interceptors) {
    const next = await wait(interceptor(current))
    if (next !== undefined) current = next
  }
  return current === response ? response.data : current
}

/** A failed call for one of its interceptors, and what became of the replay that it asked for. */
export interface Replayable {
  readonly call: FailedCall
  readonly replayed: () => Promise<unknown> | undefined
}

/**
 * @returns what the call resolves to
 * @throws the error, or the one that took its place
 */
export async function interceptError(
  interceptors: readonly ErrorInterceptor[],
  error: unknown,
  about: () => Replayable,
  wait: Wait,
): Promise<unknown> {
  let current = error
  for (const interceptor of interceptors) {
    const { call, replayed } = about()
    try {
      const next = await wait(interceptor(current, call))
      if (next === undefined) {
        const replay = replayed()
        if (replay) return await replay
      } else if (!(next instanceof Error)) return next
      else current = next
    } catch (thrown) {
      // A replay that failed is one more failure, which the next may do something about.
      if (thrown !== (await replayed()?.catch((failure) => failure))) throw thrown
      current = thrown
    }
  }
  throw current
}
