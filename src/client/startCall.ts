// How a call begins: what was asked for is checked and prepared, then it runs.

import { Call } from './call.ts'
import type { ClientCore } from './core.ts'
import type { CallOptions } from './options.ts'

/**
 * Starts a call, which ends through one of the two functions.
 * @throws what is wrong with what was asked for
 */
export function startCall(
  core: ClientCore,
  method: string,
  url: string | URL,
  data: unknown,
  options: CallOptions,
  resolve: (call: Call) => void,
  reject: (error: unknown) => void,
): void {
  core.check(options)
  const prepared = core.requests.prepare(method, url, data, options)
  // A category that does not exist is a mistake of the caller, whether or not there is a token left.
  if (options.rateCategory !== undefined) core.limiter.getInfo(prepared.endpoint, options.rateCategory)
  new Call(core, prepared, options, resolve, reject).start()
}
