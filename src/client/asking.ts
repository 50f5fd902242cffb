// Calls that more happens to than being sent: interceptors around them, a look at what they send, a schema for the
// body, a share in somebody else's request, a second request beside the first.

import type { HeadersInput } from '../http/headers.ts'
import type { Answer } from './attempt.ts'
import type { ClientCore } from './core.ts'
import { guardRequests } from './guardCalls.ts'
import {
  type ClientResponse,
  type InterceptedConfig,
  interceptError,
  interceptRequest,
  interceptResponse,
} from './interceptors.ts'
import type { CallOptions } from './options.ts'
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

/** A call that the request interceptors have seen. @throws what a call throws */
export async function ask(
  core: ClientCore,
  method: string,
  url: string | URL,
  data: unknown,
  options: CallOptions,
): Promise<{ call: Answer; config: InterceptedConfig }> {
  core.check(options)
  const { validate } = core.settings
  const given = { ...options, url, method, data, headers: { ...core.requests.fieldsOf(options.headers) } }
  if (validate) guardRequests(validate)(given)
  const config = await interceptRequest(core.interceptors.request, given)
  const asked = config.method.toUpperCase()
  const removed = options.headers && removals(options.headers)
  const complete = removed ? { ...config, headers: { ...removed, ...config.headers } } : config
  const start = async (given: CallOptions) =>
    (await core.call(asked, config.url, config.data, given, 'answer')) as Answer
  const call = await (sharingOf(core)?.run(asked, config.url, complete, start) ?? start(complete))
  return { call, config }
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
  try {
    const { call, config } = await ask(core, method, url, data, options)
    const { status, headers, attempts, timings } = call
    const response: ClientResponse = {
      status,
      headers,
      data: call.data,
      url: call.url,
      config,
      attempts,
      timings,
    }
    if (config.schema) response.data = await applySchema(config.schema, call.data, call.url)
    return await interceptResponse(core.interceptors.response, response)
  } catch (error) {
    return interceptError(core.interceptors.error, error)
  }
}
