// A transport that keeps every request and answers it at once with an empty object.

import type {
  HttpExchange,
  HttpReceiver,
  HttpRequest,
  HttpTransport,
} from '../../src/transport/HttpTransport.ts'

export class RecordingTransport implements HttpTransport {
  readonly requests: HttpRequest[] = []
  readonly acceptEncoding = undefined

  send(request: HttpRequest, receiver: HttpReceiver): HttpExchange {
    this.requests.push(request)
    queueMicrotask(() => {
      receiver.onSent()
      receiver.onResponse({
        status: 200,
        headers: { 'content-type': 'application/json' },
        finalUrl: undefined,
        setCookie: undefined,
        body: new TextEncoder().encode('{}'),
      })
    })
    return { cancel() {} }
  }

  decodeText(bytes: Uint8Array): string {
    return new TextDecoder().decode(bytes)
  }

  dispose(): void {}
}
