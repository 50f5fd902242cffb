// A stream as the body of a fetch, where the platform can send one.

import { CommsError } from '../core/errors.ts'
import { Upload } from './httpUpload.ts'

let uploads: boolean | undefined

/** Whether `fetch` here sends streams: one that does not turns a stream into text, with a content type, and never asks for `duplex`. */
function uploadsStreams(): boolean {
  if (uploads === undefined) {
    let asked = false
    const probe = new Request('http://localhost/', {
      method: 'POST',
      body: new ReadableStream(),
      get duplex(): 'half' {
        asked = true
        return 'half'
      },
    } as RequestInit)
    uploads = asked && !probe.headers.has('content-type')
  }
  return uploads
}

/**
 * @param announced its length in bytes, where the server is told one
 * @throws CommsError `UNSUPPORTED`
 */
export function streamedBody(
  source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>,
  announced: number | undefined,
): {
  upload: Upload
  stream: ReadableStream<Uint8Array<ArrayBuffer>>
} {
  if (!uploadsStreams()) {
    throw new CommsError('this platform cannot send a stream: give a string, bytes, a Blob or FormData', {
      code: 'UNSUPPORTED',
    })
  }
  const upload = new Upload(source, announced)
  const encoder = new TextEncoder()
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const { done, value } = await upload.next()
        if (done) controller.close()
        else
          controller.enqueue(
            typeof value === 'string' ? encoder.encode(value) : (value as Uint8Array<ArrayBuffer>),
          )
      },
      cancel: (reason) => upload.stop(reason),
    },
    // Read nothing before somebody asks: an untouched body can still be sent by another attempt.
    { highWaterMark: 0 },
  )
  return { upload, stream }
}
