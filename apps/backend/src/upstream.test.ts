import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { UpstreamResponder } from './upstream.ts'

/** What the made-up model server was asked. */
interface Asked {
  url: string | undefined
  authorization: string | undefined
  body: { model: string; stream: boolean; messages: unknown[] }
}

let server: Server
const asked: Asked[] = []

/** A server that speaks the streaming form of OpenAI's chat completions, in awkward pieces. */
async function modelServer(lines: readonly string[]): Promise<string> {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    asked.push({ url: request.url, authorization: request.headers.authorization, body: JSON.parse(body) })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const text = lines.map((line) => `data: ${line}\n\n`).join('')
    for (let at = 0; at < text.length; at += 7) response.write(text.slice(at, at + 7))
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}

afterEach(() => {
  asked.length = 0
  server.closeAllConnections()
  server.close()
})

const delta = (content: string | null) => JSON.stringify({ choices: [{ delta: { content } }] })
const context = {
  signal: new AbortController().signal,
  history: [{ role: 'user', content: 'before' } as const],
}

describe('an OpenAI-compatible upstream', () => {
  it('is asked with the history, and its pieces come as they are', async () => {
    const baseURL = await modelServer([delta(null), delta('Grüß'), delta(' Gott'), '[DONE]'])
    const responder = new UpstreamResponder({ baseURL, model: 'tiny', apiKey: 'secret' })
    const pieces: string[] = []
    for await (const piece of responder.respond({ id: 'q', content: 'Hello?' }, context)) pieces.push(piece)
    expect(pieces).toEqual(['Grüß', ' Gott'])
    expect(asked).toEqual([
      {
        url: '/v1/chat/completions',
        authorization: 'Bearer secret',
        body: {
          model: 'tiny',
          stream: true,
          messages: [
            { role: 'user', content: 'before' },
            { role: 'user', content: 'Hello?' },
          ],
        },
      },
    ])
  })

  it('sends an image as OpenAI wants it', async () => {
    const baseURL = await modelServer(['[DONE]'])
    const responder = new UpstreamResponder({ baseURL, model: 'tiny' })
    for await (const _ of responder.respond(
      { id: 'q', content: 'What is this?', image: 'AAAA' },
      { ...context, history: [] },
    )) {
      expect.unreachable()
    }
    expect(asked[0]?.body.messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
        ],
      },
    ])
  })

  it.each([
    ['iVBORw0KGgo=', 'data:image/png;base64,iVBORw0KGgo='],
    ['/9j/4AAQ', 'data:image/jpeg;base64,/9j/4AAQ'],
    ['R0lGODlh', 'data:image/gif;base64,R0lGODlh'],
    ['UklGRgAA', 'data:image/webp;base64,UklGRgAA'],
    ['data:image/png;base64,AAAA', 'data:image/png;base64,AAAA'],
  ])('an image that begins with %s goes as %s', async (image, url) => {
    const baseURL = await modelServer([delta('ok'), '[DONE]'])
    const responder = new UpstreamResponder({ baseURL, model: 'tiny' })
    for await (const _ of responder.respond({ id: 'q', content: 'x', image }, context));
    expect(JSON.stringify(asked[0]?.body.messages.at(-1))).toContain(`{"url":"${url}"}`)
    responder.dispose()
  })

  /** What is said before it fails, and the failure. */
  const failing = async (baseURL: string, question = 'Hello?') => {
    const responder = new UpstreamResponder({ baseURL, model: 'tiny', apiKey: 'sk-very-secret' })
    let said = ''
    let failure: unknown
    try {
      for await (const piece of responder.respond({ id: 'q', content: question }, context)) said += piece
    } catch (error) {
      failure = error
    }
    responder.dispose()
    expect(failure).toBeInstanceOf(Error)
    expect(`${said} ${inspect(failure, { depth: 5 })}`).not.toContain('very-secret')
    return said
  }

  it.each([
    [401, /does not accept the key/],
    [404, /knows no model "tiny" there.*\/v1/],
    [400, /failed: .*400/],
  ])('an answer with status %i is told in words, without the key', async (status, words) => {
    server = createServer((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    expect(await failing(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`)).toMatch(words)
  })

  it('a server that is not there is told in words', async () => {
    const baseURL = await modelServer([])
    await new Promise((resolve) => server.close(resolve))
    expect(await failing(baseURL)).toMatch(
      /^I cannot reach the model at http:\/\/127\.0\.0\.1:\d+: is it running\?$/,
    )
  })

  it('an error in mid-answer is told after what was said', async () => {
    const baseURL = await modelServer([
      delta('Well'),
      JSON.stringify({ error: { message: 'out of memory' } }),
    ])
    expect(await failing(baseURL)).toMatch(/^Well\n\n.*failed: it reports an error: out of memory$/)
  })

  it.each([
    [['{ half'], /failed: /],
    [[], /something else than an event stream/],
  ])('a stream of %j is a failure', async (lines, words) => {
    expect(await failing(await modelServer(lines))).toMatch(words)
  })

  it('ends when the user stops it', async () => {
    const controller = new AbortController()
    const baseURL = await modelServer(Array.from({ length: 1000 }, (_, n) => delta(`${n} `)))
    const responder = new UpstreamResponder({ baseURL, model: 'tiny' })
    const listen = async () => {
      for await (const _ of responder.respond(
        { id: 'q', content: 'Count' },
        { ...context, signal: controller.signal },
      )) {
        controller.abort()
      }
    }
    await expect(listen()).rejects.toMatchObject({ name: 'AbortError' })
  })
})
