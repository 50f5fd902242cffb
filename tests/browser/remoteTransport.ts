// The fetch transport inside Chromium, as a transport of this process: requests go into a page, what the page hears comes back.
// So the suite that shows what a transport does, and the servers it needs, can stay where they are.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { build } from 'vite'
import { CommsError, type ErrorCode, NetworkError } from '../../src/core/errors.ts'
import type {
  HttpReceiver,
  HttpRequest,
  HttpResponse,
  HttpTransport,
  HttpTransportCapabilities,
  HttpTransportOptions,
} from '../../src/transport/HttpTransport.ts'
import { findChromium, launch } from './chromium.ts'

const ENTRY = join(import.meta.dirname, 'remoteTransportPage.ts')

/** What the page tells of an attempt. */
type Report =
  | { readonly event: 'sent' }
  | { readonly event: 'head'; readonly status: number; readonly headers: Record<string, string> }
  | {
      readonly event: 'response'
      readonly response: Omit<HttpResponse, 'body'>
      readonly body: string | null
    }
  | { readonly event: 'failure'; readonly error: RemoteError }
  | { readonly event: 'progress'; readonly received: number; readonly total: number | undefined }

interface RemoteError {
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly neverSent: boolean | undefined
}

/** A receiver that says beforehand whether it wants a stream: a page cannot wait for the answer. */
type Foretelling = HttpReceiver & { readonly stream?: boolean }

declare const remote: {
  start(id: number, request: unknown, stream: boolean): void
  cancel(id: number): void
  read(id: number): Promise<{ done: boolean; bytes: string } | { error: RemoteError }>
  leave(id: number): Promise<void>
}

/** The transports of a Chromium, where there is one; `close` when done. */
export async function chromiumTransports(): Promise<{
  transports: Record<
    string,
    {
      createHttpTransport(options: HttpTransportOptions): HttpTransport
      capabilities: HttpTransportCapabilities
    }
  >
  close(): Promise<void>
}> {
  const executablePath = findChromium('the fetch transport in a browser')
  if (executablePath === undefined) return { transports: {}, close: async () => {} }
  const code = await bundle()
  const server = createServer((request, response) => {
    const script = request.url === '/page.js'
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html')
    response.end(
      script ? code : '<!doctype html><title>test</title><script type="module" src="/page.js"></script>',
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // The servers of the suite know nothing of pages of other origins, and need not.
  const browser = await launch(executablePath, ['--disable-web-security'])
  const page = await browser.newPage()
  const attempts = new Map<number, (report: Report) => void>()
  await page.exposeFunction('report', (id: number, report: Report) => attempts.get(id)?.(report))
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.waitForFunction('globalThis.remote !== undefined')
  const capabilities = (await page.evaluate('remote.capabilities')) as HttpTransportCapabilities
  return {
    transports: {
      'fetch in Chromium': {
        createHttpTransport: () => new RemoteTransport(page, attempts),
        // Chromium sends streams over HTTP/2 only, and these servers speak HTTP/1.1.
        capabilities: { ...capabilities, uploadStreams: false },
      },
    },
    async close() {
      await browser.close()
      server.close()
    },
  }
}

async function bundle(): Promise<string> {
  const result = await build({
    logLevel: 'silent',
    configFile: false,
    resolve: { conditions: ['guru-source', 'browser'] },
    build: {
      write: false,
      minify: false,
      target: 'es2023',
      lib: { entry: ENTRY, formats: ['es'] },
      rollupOptions: { output: { codeSplitting: false } },
    },
  })
  const [output] = [result].flat().flatMap((part) => ('output' in part ? part.output : []))
  return output?.type === 'chunk' ? output.code : ''
}

let lastId = 0

class RemoteTransport implements HttpTransport {
  readonly acceptEncoding = undefined
  readonly #page: Page
  readonly #attempts: Map<number, (report: Report) => void>
  readonly #running = new Map<number, HttpReceiver>()
  #disposed = false

  constructor(page: Page, attempts: Map<number, (report: Report) => void>) {
    this.#page = page
    this.#attempts = attempts
  }

  send(request: HttpRequest, receiver: Foretelling) {
    lastId += 1
    const id = lastId
    let over = false
    let failStream: ((reason: unknown) => void) | undefined
    this.#running.set(id, receiver)
    const finish = () => {
      over = true
      this.#running.delete(id)
    }
    this.#attempts.set(id, (report) => {
      if (over) return
      switch (report.event) {
        case 'sent':
          receiver.onSent()
          return
        case 'head':
          receiver.onHead(report.status, report.headers)
          return
        case 'progress':
          request.onDownloadProgress?.(report.received, report.total)
          return
        case 'failure':
          finish()
          receiver.onFailure(errorOf(report.error))
          return
        case 'response': {
          finish()
          const { stream, fail } = this.#streamOf(id)
          failStream = fail
          const body = report.body === null ? stream : new Uint8Array(Buffer.from(report.body, 'base64'))
          receiver.onResponse({ ...report.response, body })
        }
      }
    })
    if (this.#disposed) {
      setTimeout(() => {
        finish()
        receiver.onFailure(new CommsError('the transport has been disposed', { code: 'DISPOSED' }))
      })
    } else {
      void this.#start(id, request, receiver.stream === true)
    }
    return {
      cancel: (reason: unknown) => {
        finish()
        failStream?.(reason)
        this.#ask((asked) => remote.cancel(asked), id)
      },
    }
  }

  decodeText(bytes: Uint8Array): string {
    return new TextDecoder().decode(bytes)
  }

  dispose(): void {
    this.#disposed = true
    for (const [id, receiver] of this.#running) {
      this.#attempts.delete(id)
      this.#ask((asked) => remote.cancel(asked), id)
      receiver.onFailure(new CommsError('the transport has been disposed', { code: 'DISPOSED' }))
    }
    this.#running.clear()
  }

  async #start(id: number, request: HttpRequest, stream: boolean): Promise<void> {
    const { body, onDownloadProgress, onUploadProgress: _, ...plain } = request
    const bytes =
      typeof body === 'string' || body === undefined
        ? body
        : Buffer.from(
            body instanceof Blob ? new Uint8Array(await body.arrayBuffer()) : (body as Uint8Array),
          ).toString('base64')
    await this.#page.evaluate(([asked, wire, wish]) => remote.start(asked, wire, wish), [
      id,
      {
        ...plain,
        body: bytes,
        isBytes: typeof body === 'object',
        isBlob: body instanceof Blob,
        tells: onDownloadProgress !== undefined,
      },
      stream,
    ] as const)
  }

  #streamOf(id: number) {
    let output!: ReadableStreamDefaultController<Uint8Array>
    let over = false
    const fail = (error: unknown) => {
      if (over) return
      over = true
      output.error(error)
    }
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          output = controller
        },
        pull: async () => {
          const result = await this.#page.evaluate((asked) => remote.read(asked), id)
          if (over) return
          if ('error' in result) fail(errorOf(result.error))
          else if (result.done) {
            over = true
            output.close()
          } else output.enqueue(new Uint8Array(Buffer.from(result.bytes, 'base64')))
        },
        cancel: () => {
          over = true
          this.#ask((asked) => remote.leave(asked), id)
        },
      },
      { highWaterMark: 0 },
    )
    return { stream, fail }
  }

  #ask(what: (id: number) => unknown, id: number): void {
    this.#page.evaluate(what as (id: number) => void, id).catch(() => {})
  }
}

function errorOf({ code, message, neverSent }: RemoteError): CommsError {
  if (code === 'NETWORK') return new NetworkError(message, { neverSent: neverSent === true })
  return new CommsError(message, { code: code ?? 'UNSUPPORTED' })
}
