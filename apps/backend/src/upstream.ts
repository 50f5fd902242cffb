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
}

const DONE = '[DONE]'

export class UpstreamResponder implements Responder {
  readonly #client: ApiClient
  readonly #model: string

  constructor({ baseURL, model, apiKey }: UpstreamOptions) {
    this.#model = model
    this.#client = new ApiClient({
      baseURL,
      // The first word of a large model may take its time; silence in mid-answer may not.
      timeout: 60_000,
      ...(apiKey ? { headers: { authorization: `Bearer ${apiKey}` } } : {}),
    })
  }

  async *respond({ content, image }: Question, { signal, history }: ResponderContext): AsyncIterable<string> {
    const said = image
      ? [
          { type: 'text', text: content },
          {
            type: 'image_url',
            image_url: { url: image.startsWith('data:') ? image : `data:image/png;base64,${image}` },
          },
        ]
      : content
    const body = await this.#client.post<ReadableStream<Uint8Array<ArrayBuffer>>>(
      '/chat/completions',
      { model: this.#model, stream: true, messages: [...history, { role: 'user', content: said }] },
      { responseType: 'stream', rateCategory: 'streaming', signal },
    )
    const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
    for await (const event of events) {
      if (event.data === DONE) return
      const piece = (JSON.parse(event.data) as CompletionChunk).choices?.[0]?.delta?.content
      if (piece) yield piece
    }
  }
}
