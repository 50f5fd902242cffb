// Logs over HTTP: the Durable Streams protocol 1.0 under one path, with rules of our own about
// who may do what. What a method does stands in a file of its own; here is what they have in
// common.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerAppend } from './append.ts'
import { answerCreate } from './create.ts'
import { BadRequest, EXPOSED } from './headers.ts'
import { type LogRequest, type LogRoutesOptions, pathFault, refuse } from './LogRequest.ts'
import { answerHead, answerRead } from './read.ts'
import { answerRemove } from './remove.ts'

const METHODS = 'GET, HEAD, PUT, POST, DELETE, OPTIONS'

const handlers: Readonly<Record<string, (asked: LogRequest) => Promise<void>>> = {
  GET: answerRead,
  HEAD: answerHead,
  PUT: answerCreate,
  POST: answerAppend,
  DELETE: answerRemove,
}

export class LogRoutes {
  readonly #options: LogRoutesOptions
  readonly #readers = new Map<string, number>()

  constructor(options: LogRoutesOptions) {
    this.#options = options
  }

  /** Whether a path is one of ours. */
  serves(path: string): boolean {
    return path.startsWith(`${this.#options.path}/`)
  }

  /** Says what pages of other origins may ask for; for requests whose origin has been allowed. */
  allowMethods(response: ServerResponse): void {
    if (!response.hasHeader('access-control-allow-origin')) return
    response.setHeader('access-control-expose-headers', EXPOSED)
    response.setHeader('access-control-allow-methods', METHODS)
  }

  /** Answers a request that `serves` its path. */
  async answer(request: IncomingMessage, response: ServerResponse, principal: string): Promise<void> {
    // Nobody takes what is read here for a page or a script, and other sites may not embed it
    // unless CORS lets them.
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('cross-origin-resource-policy', 'cross-origin')
    const method = request.method ?? 'GET'
    if (method === 'OPTIONS') {
      response.writeHead(204, { allow: METHODS }).end()
      return
    }
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined
    if (!handler) {
      response.setHeader('allow', METHODS)
      refuse(response, 405, `${method} is not possible here`)
      return
    }
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    // A path that has to be tidied up means something else to whoever stands in front of us.
    const asSent = (request.url ?? '/').split('?', 1)[0] as string
    const fault = pathFault(this.#options.path, asSent === pathname ? pathname : '')
    if (fault !== undefined) {
      refuse(response, fault.status, fault.reason)
      return
    }
    try {
      await handler({
        routes: this.#options,
        request,
        response,
        principal,
        path: pathname,
        query: searchParams,
        enterReader: () => this.#enter(principal),
      })
    } catch (error) {
      if (!(error instanceof BadRequest) || response.headersSent) throw error
      refuse(response, 400, error.message)
    }
  }

  #enter(principal: string): (() => void) | undefined {
    const readers = this.#readers.get(principal) ?? 0
    if (readers >= this.#options.maxReaders) return undefined
    this.#readers.set(principal, readers + 1)
    return () => {
      const left = (this.#readers.get(principal) ?? 1) - 1
      if (left > 0) this.#readers.set(principal, left)
      else this.#readers.delete(principal)
    }
  }
}
