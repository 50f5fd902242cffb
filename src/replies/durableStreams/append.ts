// POST: adds to a log, and may close it (Durable Streams 1.0, sections 5.2 and 5.3).

import type { AppendRequest, AppendResult } from '../appendStep.ts'
import { isJson, type LogHead, type ProducerRequest } from '../log.ts'
import { formatOffset } from '../offset.ts'
import { contentOf, facts, refuseBody, typeOf } from './content.ts'
import {
  CLOSED,
  EXPECTED_SEQ,
  NEXT_OFFSET,
  one,
  PRODUCER_EPOCH,
  PRODUCER_SEQ,
  producer,
  RECEIVED_SEQ,
  SEQ,
  saysClosed,
} from './headers.ts'
import { type LogRequest, refuse, refuseMissing, refuseRemoved } from './LogRequest.ts'
import { readBody } from './readBody.ts'

export async function answerAppend(asked: LogRequest): Promise<void> {
  const { routes, request, response, principal, path } = asked
  const { headers } = request
  const numbered = producer(headers)
  const body = await readBody(request, routes.maxBodyBytes)
  if (typeof body === 'string') {
    refuseBody(asked, body)
    return
  }
  const contentType = body.length === 0 ? undefined : typeOf(headers)
  const head = await routes.logs.find(path)
  if (head === 'missing') {
    refuseMissing(response)
    return
  }
  if (head === 'removed') {
    refuseRemoved(response)
    return
  }
  if (head.local && body.length === 0 && saysClosed(headers) && routes.allows(principal, 'read', head)) {
    await routes.stop(head)
    const stopped = await routes.logs.find(path)
    if (typeof stopped === 'string') refuseMissing(response)
    else done(response, 204, stopped, undefined)
    return
  }
  if (!routes.allows(principal, 'append', head)) {
    // Who may not even read it does not learn that it is there.
    if (routes.allows(principal, 'read', head)) refuse(response, 403, 'you may not write to this stream')
    else refuseMissing(response)
    return
  }
  const change: AppendRequest = {
    contentType,
    ...partsOf(body, head),
    close: saysClosed(headers),
    seq: one(headers, SEQ),
    producer: numbered,
  }
  answerAppended(asked, await routes.logs.append(path, change), numbered, body.length > 0)
}

/** What a body adds, as the content type of the log has it. */
function partsOf(body: Buffer, head: LogHead): Pick<AppendRequest, 'content' | 'malformed'> {
  const content = contentOf(body, head.contentType)
  if (content === 'malformed') return { content: NOTHING, malformed: 'the body is no JSON' }
  if (content === undefined && body.length > 0 && isJson(head))
    return { content: NOTHING, malformed: 'an empty array adds nothing' }
  return { content, malformed: undefined }
}

/** Stands for a body that cannot be taken: it is no empty one. */
const NOTHING = { units: 0, data: new Uint8Array() }

function answerAppended(
  { response }: LogRequest,
  result: AppendResult,
  numbered: ProducerRequest | undefined,
  added: boolean,
): void {
  switch (result.kind) {
    case 'appended':
      done(response, numbered && added ? 200 : 204, result.head, numbered)
      return
    case 'duplicate':
      done(response, 204, result.head, numbered && { ...numbered, seq: result.seq })
      return
    case 'missing':
      refuseMissing(response)
      return
    case 'removed':
      refuseRemoved(response)
      return
    case 'closed':
      refuse(response, 409, 'the stream is closed', {
        [CLOSED]: 'true',
        [NEXT_OFFSET]: formatOffset(result.head.tail),
      })
      return
    case 'wrongType':
      refuse(response, 409, `the stream holds ${result.head.contentType}`)
      return
    case 'wrongSeq':
      refuse(response, 409, 'Stream-Seq is not above the latest one')
      return
    case 'staleProducer':
      refuse(response, 403, 'a later epoch of this producer has taken over', {
        [PRODUCER_EPOCH]: String(result.epoch),
      })
      return
    case 'producerGap':
      refuse(response, 409, 'a request of this producer is missing', {
        [EXPECTED_SEQ]: String(result.expected),
        [RECEIVED_SEQ]: String(numbered?.seq ?? 0),
      })
      return
    case 'invalid':
      refuse(response, 400, result.reason)
      return
    case 'full':
      refuse(response, 413, 'the stream is as large as it may be')
  }
}

function done(
  response: LogRequest['response'],
  status: number,
  head: LogHead,
  numbered: ProducerRequest | undefined,
): void {
  const { [NEXT_OFFSET]: next, [CLOSED]: closed } = facts(head)
  response.writeHead(status, {
    [NEXT_OFFSET]: next,
    ...(closed !== undefined && { [CLOSED]: closed }),
    ...(numbered && { [PRODUCER_EPOCH]: String(numbered.epoch), [PRODUCER_SEQ]: String(numbered.seq) }),
    'cache-control': 'no-store',
    ...(status !== 204 && { 'content-length': '0' }),
  })
  response.end()
}
