// Calls that more happens to than being sent: interceptors around them, a look at what they send, a schema for the
// body, a share in somebody else's request, a second request beside the first.

import { badRequest } from '../core/errors.ts'
import { randomId } from '../core/randomId.ts'
import type { HeadersInput } from '../http/headers.ts'
import type { Answer } from './attempt.ts'
import { type Bounds, bounded, isPast } from './bounded.ts'
import type { ClientCore } from './core.ts'
import { guardRequests } from './guardCalls.ts'
import {
  type ClientResponse,
  type InterceptedConfig,
  interceptError,
  interceptRequest,
  interceptResponse,
  type Replayable,
  type Wait,
} from './interceptors.ts'
import type { CallOptions, RequestConfig } from './options.ts'
import { applySchema } from './schema.ts'
import { Sharing } from './sharing.ts'

const sharings = new WeakMap<ClientCore, Sharing>()

/** Calls of one client are shared among them only. */
function sharingOf(core: ClientCore): Sharing | undefined {
  const { hedge, coalesce } = core.settings
  if (!hedge && !coalesce) return undefined
  const sharing = sharings.get(core) ?? new Sharing(core)
  sharings.set(core, sharing)
  return sharing
}

/** A call with its interceptors around it; `finish` makes of an answer what the caller gets. */
class Asking<T> {
  readonly #core: ClientCore
  readonly #options: CallOptions
  readonly #startedAt: number
  readonly #finish: (answer: Answer, config: InterceptedConfig, wait: Wait) => Promise<T> | T
  #config: InterceptedConfig
  /** How many times it has been sent. */
  #sent = 0

  constructor(
    core: ClientCore,
    { method, url, data }: Pick<InterceptedConfig, 'method' | 'url' | 'data'>,
    options: CallOptions,
    finish: (answer: Answer, config: InterceptedConfig, wait: Wait) => Promise<T> | T,
  ) {
    core.check(options)
    const headers = { ...core.requests.fieldsOf(options.headers) }
    this.#core = core
    this.#options = options
    this.#finish = finish
    this.#startedAt = core.settings.clock.now()
    this.#config = { ...options, url, method, data, headers }
  }

  async run(isResult: (value: unknown) => value is T): Promise<T> {
    const core = this.#core
    const { request, error: errorInterceptors } = core.interceptors
    const wait = this.#waiting('a request interceptor')
    try {
      const { validate } = core.settings
      if (validate) guardRequests(validate)(this.#config)
      this.#config = await interceptRequest(request, this.#config, wait)
      // The same for whatever is sent of it.
      if (this.#config.idempotencyKey === true) this.#config.idempotencyKey = randomId()
      return await this.#send(this.#config)
    } catch (error) {
      const bounds = this.#bounds
      // What has no time left may be looked at, but is not waited for.
      const waitForError: Wait = isPast(core, bounds)
        ? (work) => (isPromise(work) ? Promise.reject(error) : work)
        : this.#waiting('an error interceptor')
      const value = await interceptError(errorInterceptors, error, () => this.#replayable(), waitForError)
      if (isResult(value)) return value
      throw error
    }
  }

  get #bounds(): Bounds {
    const { callerSignal, signal = this.#config.signal, deadlineAt } = this.#options
    return {
      signal: callerSignal ?? signal,
      deadlineAt: deadlineAt ?? this.#core.deadlineOf(this.#config, this.#startedAt),
    }
  }

  #waiting(who: string): Wait {
    return (work) => bounded(this.#core, this.#bounds, who, work)
  }

  async #send(config: InterceptedConfig): Promise<T> {
    const core = this.#core
    this.#sent += 1
    const { headers } = this.#options
    const asked = config.method.toUpperCase()
    const removed = headers && removals(headers)
    const complete: CallOptions = {
      ...config,
      deadlineAt: this.#bounds.deadlineAt,
      ...(removed && { headers: { ...removed, ...config.headers } }),
    }
    const start = async (given: CallOptions) =>
      (await core.call(asked, config.url, config.data, given, 'answer')) as Answer
    const answer = await (sharingOf(core)?.run(asked, config.url, complete, start) ?? start(complete))
    return await this.#finish(answer, config, this.#waiting('a response interceptor'))
  }

  #replayable(): Replayable {
    const config = this.#config
    let replayed: Promise<T> | undefined
    const replay = async (changes: Partial<RequestConfig> = {}): Promise<T> => {
      if (replayed) throw badRequest('an error interceptor can replay its call once')
      const headers = { ...config.headers, ...this.#core.requests.fieldsOf(changes.headers) }
      this.#config = { ...config, ...changes, method: changes.method ?? config.method, headers }
      replayed = this.#send(this.#config)
      // Whoever does not wait for it hears of it as of the call.
      replayed.catch(() => {})
      return await replayed
    }
    return { call: { config, attempt: this.#sent, replay }, replayed: () => replayed }
  }
}

function isPromise(work: unknown): work is PromiseLike<unknown> {
  return typeof (work as PromiseLike<unknown> | undefined)?.then === 'function'
}

/** An answer on its way to who asked for it as it is. */
class Opened {
  readonly call: Answer
  readonly config: InterceptedConfig

  constructor(call: Answer, config: InterceptedConfig) {
    this.call = call
    this.config = config
  }
}

/**
 * A call that request interceptors have seen, and error interceptors when it fails: of what these may give instead, a replay
 * counts.
 * @throws what a call throws
 */
export async function ask(
  core: ClientCore,
  method: string,
  url: string | URL,
  data: unknown,
  options: CallOptions,
): Promise<{ call: Answer; config: InterceptedConfig }> {
  const asking = new Asking(
    core,
    { method, url, data },
    options,
    (answer, config) => new Opened(answer, config),
  )
  return asking.run((value) => value instanceof Opened)
}

/** The headers that the caller takes away, if any: of those that are sent, interceptors see none of them. */
function removals(headers: HeadersInput): Record<string, null> | undefined {
  if (Symbol.iterator in headers) return undefined
  const removed = Object.entries(headers).filter(([, value]) => value === undefined || value === null)
  return removed.length ? Object.fromEntries(removed.map(([name]) => [name.toLowerCase(), null])) : undefined
}

/** A whole call, interceptors included. @returns what its caller gets */
export async function askIntercepted(
  core: ClientCore,
  method: string,
  url: string | URL,
  data: unknown,
  options: CallOptions,
): Promise<unknown> {
  const finish = async (answer: Answer, config: InterceptedConfig, wait: Wait): Promise<unknown> => {
    const { status, headers, setCookie = [], attempts, timings } = answer
    const response: ClientResponse = {
      status,
      headers,
      setCookie,
      data: answer.data,
      url: answer.url,
      config,
      attempts,
      timings,
    }
    if (config.schema) response.data = await wait(applySchema(config.schema, answer.data, answer.url))
    return interceptResponse(core.interceptors.response, response, wait)
  }
  return new Asking(core, { method, url, data }, options, finish).run((_value): _value is unknown => true)
}
