// The whole line to one backend: its WebSocket, its HTTP API, and the assistant's messages over both.
// It wires the parts together; how they reconnect, retry or limit is theirs alone.

/// <reference lib="esnext.disposable" preserve="true" />

import { ApiClient, type ApiClientOptions } from './ApiClient.ts'
import type { ValidateOptions } from './client/guardCalls.ts'
import { validateRule } from './client/options.ts'
import { type QuestionLine, Questions } from './connection/Questions.ts'
import type { Reply } from './connection/Reply.ts'
import type { Clock } from './core/clock.ts'
import { CommsError, ReplyError } from './core/errors.ts'
import {
  checkNames,
  checkOption,
  checkOptions,
  checkValues,
  flag,
  interval,
  plainObject,
  text,
  withDefaults,
} from './core/options.ts'
import { randomId } from './core/randomId.ts'
import { systemClock } from './core/systemClock.ts'
import {
  type ConnectionEvents,
  GuruConnection,
  type GuruConnectionOptions,
  type Provider,
} from './GuruConnection.ts'
import { assertSecureUrl } from './http/secureUrl.ts'
import { ValidationError } from './security/ValidationError.ts'
import { readImage } from './security/validate/imageReading.ts'
import type { Receipt } from './session/receipts.ts'

export type { AssistantMessage } from './connection/Questions.ts'
export type { Reply, ReplyFailure } from './connection/Reply.ts'
export { ReplyError } from './core/errors.ts'

/** Paths of the backend's HTTP API, relative to `API_BASE_URL`. */
export interface EndpointRoutes {
  /** @default '/v1/health' */
  health: string
  /** GET and POST. @default '/v1/settings' */
  settings: string
  /** @default '/v1/models' */
  models: string
  /** POST. @default '/api/stop-generation' */
  stopGeneration: string
}

const defaultRoutes: EndpointRoutes = {
  health: '/v1/health',
  settings: '/v1/settings',
  models: '/v1/models',
  stopGeneration: '/api/stop-generation',
}

export interface EndpointOptions {
  /** Where the WebSocket is: a URL, or a function asked anew at every attempt. */
  WS_URL: Provider<string>
  /** Where the HTTP API is. */
  API_BASE_URL: string
  /** In `production` plain `ws:` and `http:` are refused to anything but this machine, unless `allowInsecure` is true. */
  NODE_ENV?: string | undefined
  /** Permits plain `ws:` and `http:` in production. @default false */
  allowInsecure?: boolean | undefined
  routes?: Partial<EndpointRoutes> | undefined
  /** Sent as `Authorization: Bearer ...` on both lines; a function is asked anew each time. Never in a URL. */
  token?: Provider<string> | undefined
  /** Further options of the connection. */
  connection?: Omit<GuruConnectionOptions, 'url' | 'token'> | undefined
  /**
   * `{ validator, rules, fields }`: an `InputValidator` looks at every message (`content`) and at the HTTP client's requests
   * before they are sent.
   */
  validate?: ValidateOptions | undefined
  /** Further options of the HTTP client. */
  api?: Omit<ApiClientOptions, 'baseURL'> | undefined
}

/** What a user says, as it travels. */
export interface UserMessage {
  role: 'user'
  type: 'message'
  content: string
  id: string
  /** Milliseconds since the epoch. */
  timestamp: number
  /** Base64, without a `data:` prefix unless it was given one. */
  image?: string
}

export interface ResumeOptions {
  /** Where to go on from, as `reply.offset` told it. @default the beginning */
  offset?: string | undefined
  /** Milliseconds of silence after which it fails with a TimeoutError; only time with an open line counts. @default 120000 */
  timeout?: number | undefined
  /** Aborting stops the reply. */
  signal?: AbortSignal | undefined
}

export interface AskOptions {
  /** The id of the question. @default random */
  id?: string | undefined
  /** An image to go with the question, as `sendUserMessageWithImage` takes it. */
  image?: string | undefined
  /** The longest silence before and within the answer, in milliseconds, counted while the line is open. @default 120000 */
  timeout?: number | undefined
  /** Ends the question: the assistant is told to stop, the reply fails with an AbortError. */
  signal?: AbortSignal | undefined
}

/** The longest text of a message, in UTF-16 code units. */
export const MAX_TEXT_LENGTH = 100_000

/** The largest image of a message, in bytes after decoding. */
const MAX_IMAGE_BYTES = 10_485_760

/** The longest silence within a reply, in milliseconds. */
const REPLY_TIMEOUT_MS = 120_000

const signalRule = { expected: 'an AbortSignal', accepts: (value: unknown) => value instanceof AbortSignal }
const provider = 'a string or a function'
const optionRules = {
  WS_URL: provider,
  API_BASE_URL: text,
  NODE_ENV: text,
  allowInsecure: flag,
  routes: plainObject,
  token: provider,
  connection: plainObject,
  api: plainObject,
  validate: validateRule,
}

/** One app, one backend, one object. */
export class Endpoint {
  /** The WebSocket line. */
  readonly connection: GuruConnection
  /** The HTTP client. */
  readonly api: ApiClient
  readonly #routes: EndpointRoutes
  readonly #clock: Clock
  readonly #questions: Questions
  readonly #validate: ValidateOptions | undefined

  // Named imports that were compiled to CommonJS look for their names on what `require()` gives: the class.
  static {
    Object.defineProperties(Endpoint, {
      Endpoint: { value: Endpoint },
      MAX_TEXT_LENGTH: { value: MAX_TEXT_LENGTH },
      ReplyError: { value: ReplyError },
    })
  }

  /** @throws TypeError or RangeError naming the option; CommsError `INSECURE_URL` in production */
  constructor(options: EndpointOptions) {
    checkValues('Endpoint', options, optionRules)
    // A whole environment can be passed as it is: its other variables are texts, and none is like one of ours.
    checkNames('Endpoint', options, optionRules, (value, letters) => typeof value === 'string' && letters > 2)
    const { WS_URL, API_BASE_URL, NODE_ENV, token, routes = {} } = options
    checkOption('Endpoint', 'WS_URL', WS_URL, optionRules.WS_URL)
    checkOption('Endpoint', 'API_BASE_URL', API_BASE_URL, optionRules.API_BASE_URL)
    for (const [name, path] of Object.entries(routes)) checkOption('Endpoint', `routes.${name}`, path, text)
    const mustBeSecure = NODE_ENV === 'production' && options.allowInsecure !== true
    if (mustBeSecure) {
      assertSecureUrl('Endpoint', 'API_BASE_URL', API_BASE_URL)
      if (typeof WS_URL === 'string') assertSecureUrl('Endpoint', 'WS_URL', WS_URL)
    }
    const url = mustBeSecure && typeof WS_URL === 'function' ? secured(WS_URL) : WS_URL
    this.#routes = { ...defaultRoutes, ...routes }
    this.#clock = options.connection?.clock ?? systemClock
    this.#validate = options.validate
    const apiDefaults: ApiClientOptions = {
      allowInsecure: !mustBeSecure,
      validate: options.validate,
      // Who renews tokens has one of its own.
      token: options.api?.auth ? undefined : token,
    }
    this.api = new ApiClient({ ...withDefaults(apiDefaults, options.api ?? {}), baseURL: API_BASE_URL })
    this.connection = new GuruConnection({
      ...options.connection,
      url,
      token,
    })
    this.#questions = new Questions(this.connection as QuestionLine, this.#clock)
  }

  /** Listens to an event of the connection: all of them pass through here. */
  on<K extends keyof ConnectionEvents & string>(
    name: K,
    listener: (...args: ConnectionEvents[K]) => void,
  ): this
  on(name: string, listener: (...args: never[]) => void): this
  on(name: string, listener: (...args: never[]) => void): this {
    this.connection.on(name as never, listener)
    return this
  }

  /** Listens to the next event of this name only. */
  once<K extends keyof ConnectionEvents & string>(
    name: K,
    listener: (...args: ConnectionEvents[K]) => void,
  ): this
  once(name: string, listener: (...args: never[]) => void): this
  once(name: string, listener: (...args: never[]) => void): this {
    this.connection.once(name as never, listener)
    return this
  }

  /** Removes a listener. */
  off(name: string, listener: (...args: never[]) => void): this {
    this.connection.off(name as never, listener)
    return this
  }

  /**
   * Sends a user's message; while the line is down it waits in the queue.
   * @returns its id, which the reply carries as `request_id`
   * @throws ValidationError for an empty or too long text, or one that `validate` refuses; CommsError `DISPOSED`, `QUEUE_FULL`
   */
  sendUserMessage(content: string, id: string = randomId()): string {
    this.#send(content, id)
    return id
  }

  /**
   * Sends a user's message with an image.
   * @param base64 PNG, JPEG, GIF, WebP, AVIF or BMP, base64 or a `data:` URL, at most 10 MB decoded
   * @throws ValidationError when text or image is refused; nothing is sent then
   */
  sendUserMessageWithImage(content: string, base64: string, id: string = randomId()): string {
    checkOption('sendUserMessageWithImage', 'base64', base64, text)
    this.#send(content, id, base64)
    return id
  }

  /** Asks, and gives the answer piece by piece (`for await`) or whole (`await reply.text()`). */
  ask(content: string, options: AskOptions = {}): Reply {
    checkOptions('ask', options, { id: text, image: text, timeout: interval, signal: signalRule })
    const { id = randomId(), timeout = REPLY_TIMEOUT_MS, signal, image } = options
    this.#refuseTwice('ask', id)
    return this.#questions.ask(id, () => this.#send(content, id, image), timeout, signal)
  }

  /**
   * Goes on with an answer that the backend keeps: after a reload, on another device, however it was asked for.
   * @param id of the reply
   * @throws CommsError `BAD_REQUEST` when it is waited for already
   */
  resume(id: string, options: ResumeOptions = {}): Reply {
    checkOption('resume', 'id', id, text)
    checkOptions('resume', options, { offset: text, timeout: interval, signal: signalRule })
    const { offset, timeout = REPLY_TIMEOUT_MS, signal } = options
    this.#refuseTwice('resume', id)
    return this.#questions.resume(id, offset, timeout, signal)
  }

  /** Sends live audio; false when the line is down or too slow for it and it was left out. */
  streamAudio(buffer: ArrayBuffer | ArrayBufferView): boolean {
    return this.connection.streamAudio(buffer)
  }

  getHealth(): Promise<unknown> {
    return this.api.get(this.#routes.health)
  }

  getSettings(): Promise<unknown> {
    return this.api.get(this.#routes.settings)
  }

  setSettings(settings: Record<string, unknown>): Promise<unknown> {
    checkOption('setSettings', 'settings', settings, plainObject)
    return this.api.post(this.#routes.settings, settings)
  }

  getModels(): Promise<unknown> {
    return this.api.get(this.#routes.models)
  }

  /** Asks the backend over HTTP to stop what it is saying: works while the WebSocket is down, too. */
  stopGeneration(): Promise<unknown> {
    // Stopping twice is stopping once: with a key it may be repeated after a failure.
    return this.api.post(this.#routes.stopGeneration, undefined, {
      rateCategory: 'control',
      idempotencyKey: true,
    })
  }

  /** What both lines tell of themselves. */
  getStats(): { websocket: ReturnType<GuruConnection['getStats']>; http: ReturnType<ApiClient['getStats']> } {
    return { websocket: this.connection.getStats(), http: this.api.getStats() }
  }

  /** Closes both lines for good; replies that are waited for fail with `DISPOSED`. */
  dispose(): void {
    this.#questions.dispose()
    this.connection.dispose()
    this.api.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #refuseTwice(method: string, id: string): void {
    if (!this.#questions.has(id)) return
    const message = `${method}: the answer to "${id}" is being waited for already`
    throw new CommsError(message, { code: 'BAD_REQUEST' })
  }

  #send(content: string, id: string, image?: string): Receipt {
    checkText(content)
    checkOption('sendUserMessage', 'id', id, text)
    if (image !== undefined) checkImage(image)
    this.#validate?.validator.validateFields({ content }, this.#validate)
    const message: UserMessage = {
      role: 'user',
      type: 'message',
      content,
      id,
      timestamp: this.#clock.wallNow(),
    }
    if (image !== undefined) message.image = image
    return this.connection.send(message)
  }
}

/** @throws ValidationError */
function checkText(content: unknown): void {
  if (typeof content !== 'string') throw refused('text', 'type', 'text must be a string')
  if (content.trim() === '')
    throw refused('text', 'minLength', 'text must not be empty (minimum 1 character)')
  if (content.length > MAX_TEXT_LENGTH) {
    const message = `text is too long: ${content.length} characters (maximum ${MAX_TEXT_LENGTH})`
    throw refused('text', 'maxLength', message)
  }
}

/** @throws ValidationError */
function checkImage(image: string): void {
  const { claimed, bytes, wellFormed, type } = readImage(image)
  if (bytes > MAX_IMAGE_BYTES) {
    const message = `image refused: larger than the maximum ${MAX_IMAGE_BYTES} bytes (decoded)`
    throw refused('image', 'maxLength', message)
  }
  if (wellFormed && type && type === (claimed ?? type)) return
  const message = 'image refused: it must be a PNG, JPEG, GIF, WebP, AVIF or BMP in base64, or its data: URL'
  throw refused('image', 'base64Image', message)
}

function refused(field: string, rule: string, message: string): ValidationError {
  return new ValidationError({ field, rule, message })
}

function secured(provider: () => string | PromiseLike<string>): () => Promise<string> {
  return async () => {
    const url = await provider()
    assertSecureUrl('Endpoint', 'WS_URL', url)
    return url
  }
}

export { Endpoint as 'module.exports' }
