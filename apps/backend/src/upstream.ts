// Any OpenAI-compatible server as the assistant, asked through our own ApiClient.

import { EventSourceParserStream } from 'eventsource-parser/stream'
import { ApiClient } from 'guru-comms/ApiClient'
import type { Question, Responder, ResponderContext } from 'guru-comms/server'

export interface UpstreamOptions {
  /** The base that `/chat/completions` is under, such as `http://localhost:11434/v1`. */
  readonly baseURL: string
  readonly model: string
  readonly apiKey?: string | undefined
}

/** The part of a streamed completion that is read. */
interface CompletionChunk {
  choices?: { delta?: { content?: string | null } }[]
  error?: { message?: unknown }
}

const DONE = '[DONE]'

export class UpstreamResponder implements Responder {
  readonly #client: ApiClient
  readonly #baseURL: string
  readonly #model: string

  constructor({ baseURL, model, apiKey }: UpstreamOptions) {
    this.#baseURL = baseURL
    this.#model = model
    this.#client = new ApiClient({
      baseURL,
      // The first word of a large model may take its time; silence in mid-answer may not.
      timeout: 60_000,
      idleTimeout: 60_000,
      ...(apiKey ? { headers: { authorization: `Bearer ${apiKey}` } } : {}),
    })
  }

  /** Fails in words, too: whoever asked should read why there is no answer. */
  async *respond(question: Question, context: ResponderContext): AsyncIterable<string> {
    let said = false
    try {
      for await (const piece of this.#pieces(question, context)) {
        said = true
        yield piece
      }
    } catch (error) {
      if (!context.signal.aborted) yield `${said ? '\n\n' : ''}${this.#explain(error)}`
      throw error
    }
  }

  dispose(): void {
    this.#client.dispose()
  }

  async *#pieces(question: Question, { signal, history }: ResponderContext): AsyncGenerator<string> {
    const messages = [...history, { role: 'user', content: contentOf(question) }]
    const body = await this.#client.post<ReadableStream<Uint8Array<ArrayBuffer>>>(
      '/chat/completions',
      { model: this.#model, stream: true, messages },
      { responseType: 'stream', rateCategory: 'streaming', signal },
    )
    const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
    let heard = false
    for await (const { data } of events) {
      heard = true
      if (data === DONE) return
      const { choices, error } = JSON.parse(data) as CompletionChunk
      if (error) throw new Error(`it reports an error: ${String(error.message)}`)
      const piece = choices?.[0]?.delta?.content
      if (piece) yield piece
    }
    if (!heard) throw new Error('it answered with something else than an event stream')
  }

  #explain(error: unknown): string {
    const { code, status, message } = error as { code?: string; status?: number; message: string }
    const where = new URL(this.#baseURL).origin
    if (code === 'NETWORK') return `I cannot reach the model at ${where}: is it running?`
    if (code === 'TIMEOUT') return `The model at ${where} does not answer in time.`
    if (code === 'CIRCUIT_OPEN')
      return `The model at ${where} failed too often; I will try it again in a while.`
    if (status === 401 || status === 403)
      return `The model at ${where} does not accept the key (OPENAI_API_KEY).`
    if (status === 404) {
      return `The model at ${where} knows no model "${this.#model}" there, or is not under ${this.#baseURL} (the URL usually ends in /v1).`
    }
    return `The model at ${where} failed: ${message}`
  }
}

/** A question as OpenAI wants it. */
function contentOf({ content, image }: Question): unknown {
  if (image === undefined) return content
  const url = image.startsWith('data:') ? image : `data:${imageType(image)};base64,${image}`
  return [
    { type: 'text', text: content },
    { type: 'image_url', image_url: { url } },
  ]
}

/** Formats by the first bytes of their base64. */
const IMAGE_TYPES: readonly (readonly [string, string])[] = [
  ['/9j/', 'image/jpeg'],
  ['R0lG', 'image/gif'],
  ['UklG', 'image/webp'],
]

function imageType(base64: string): string {
  return IMAGE_TYPES.find(([start]) => base64.startsWith(start))?.[1] ?? 'image/png'
}
