// GET and HEAD: what a log holds from an offset on, at once or as it comes (Durable Streams 1.0,
// sections 5.5 to 5.8).

import { joinMessages } from '../jsonMessages.ts'
import type { ReadResult } from '../Logs.ts'
import { isJson, type LogHead } from '../log.ts'
import { formatOffset, parseOffset } from '../offset.ts'
import { facts } from './content.ts'
import { nextCursor } from './cursor.ts'
import {
  BadRequest,
  CLOSED,
  CURSOR,
  EXPIRES_AT,
  NEXT_OFFSET,
  SSE_ENCODING,
  TTL,
  UP_TO_DATE,
} from './headers.ts'
import { type LogRequest, refuse, refuseMissing, refuseRemoved } from './LogRequest.ts'
import { controlEvent, dataEvent, needsBase64 } from './sse.ts'
import { Turns } from './Turns.ts'

/** Kept by the reader, and asked about each time: it may be somebody's own, and it grows. */
const CACHEABLE = 'private, no-cache'

export async function answerHead(asked: LogRequest): Promise<void> {
  const head = await found(asked)
  if (!head) return
  asked.response.writeHead(200, {
    ...facts(head),
    ...(head.ttlSeconds !== undefined && { [TTL]: String(head.ttlSeconds) }),
    ...(head.expiresAtText !== undefined && { [EXPIRES_AT]: head.expiresAtText }),
    'cache-control': 'no-store',
  })
  asked.response.end()
}

export async function answerRead(asked: LogRequest): Promise<void> {
  const { query } = asked
  const offsets = query.getAll('offset')
  const live = query.get('live')
  if (offsets.length > 1) throw new BadRequest('"offset" comes once')
  if (live !== null && live !== 'long-poll' && live !== 'sse')
    throw new BadRequest('"live" must be "long-poll" or "sse"')
  const [offset] = offsets
  if (live !== null && offset === undefined) throw new BadRequest('"live" takes "offset"')
  const from = parseOffset(offset ?? '-1')
  if (from === undefined) throw new BadRequest('"offset" is no offset of a stream')
  const head = await found(asked)
  if (!head) return
  const position = from === 'now' ? head.tail : from
  if (live === null) await answerNow(asked, head, position, from === 'now')
  else if (live === 'long-poll') await answerLongPoll(asked, head, position)
  else await answerEvents(asked, head, position)
}

/**
 * The log that is asked for, if there is one that this principal may read; else it has been
 * answered.
 */
async function found({ routes, response, principal, path }: LogRequest): Promise<LogHead | undefined> {
  const head = await routes.logs.find(path)
  if (head === 'removed') refuseRemoved(response)
  else if (head === 'missing' || !routes.allows(principal, 'read', head)) refuseMissing(response)
  else return head
  return undefined
}

async function answerNow(asked: LogRequest, head: LogHead, position: number, now: boolean): Promise<void> {
  const read = await asked.routes.logs.read(head, position)
  const closed = read.head.closed && read.upToDate
  const etag = `"${head.id}:${position}:${read.next}${closed ? ':c' : ''}"`
  if (!now && asked.request.headers['if-none-match'] === etag) {
    asked.response.writeHead(304, { etag, 'cache-control': CACHEABLE, ...readFacts(read) }).end()
    return
  }
  answerContent(asked, read, now ? { 'cache-control': 'no-store' } : { etag, 'cache-control': CACHEABLE })
}

async function answerLongPoll(asked: LogRequest, head: LogHead, position: number): Promise<void> {
  const { routes, query, response } = asked
  const cursor = nextCursor(query.get('cursor'), routes.clock.wallNow(), routes.random)
  let read = await routes.logs.read(head, position)
  if (read.records.length === 0 && !read.head.closed) {
    const leave = asked.enterReader()
    if (!leave) {
      refuseTooMany(asked)
      return
    }
    const turns = new Turns(asked, routes.longPollMs)
    try {
      while (read.records.length === 0 && !read.head.closed && (await turns.next())) {
        const known = await routes.logs.find(asked.path)
        if (typeof known === 'string') break
        read = await routes.logs.read(known, position)
      }
    } finally {
      turns.end()
      leave()
    }
  }
  if (response.destroyed) return
  if (read.records.length === 0) {
    response.writeHead(204, { ...readFacts(read), [CURSOR]: cursor, 'cache-control': 'no-store' }).end()
  } else answerContent(asked, read, { [CURSOR]: cursor, 'cache-control': CACHEABLE })
}

async function answerEvents(asked: LogRequest, head: LogHead, from: number): Promise<void> {
  const { routes, query, response } = asked
  const leave = asked.enterReader()
  if (!leave) {
    refuseTooMany(asked)
    return
  }
  const cursor = nextCursor(query.get('cursor'), routes.clock.wallNow(), routes.random)
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    // Otherwise nginx would collect events and hand them on in lumps.
    'x-accel-buffering': 'no',
    ...(needsBase64(head) && { [SSE_ENCODING]: 'base64' }),
  })
  const turns = new Turns(asked, routes.sseMs)
  try {
    let known: LogHead = head
    let position = from
    let said = false
    for (;;) {
      const read = await routes.logs.read(known, position)
      const { records, next, upToDate } = read
      const closed = read.head.closed && upToDate
      if (records.length > 0 || !said || closed) {
        const data = records.length > 0 ? dataEvent(read.head, records) : ''
        const taken = response.write(data + controlEvent({ next, upToDate, closed, cursor }))
        said = true
        position = next
        if (closed) break
        if (!taken && !(await turns.drained())) break
      }
      if (!upToDate) continue
      if (!(await turns.next())) break
      const after = await routes.logs.find(asked.path)
      if (typeof after === 'string' || after.id !== head.id) break
      known = after
    }
  } finally {
    turns.end()
    leave()
    response.end()
  }
}

function answerContent({ response }: LogRequest, read: ReadResult, headers: Record<string, string>): void {
  const parts = read.records.map(({ data }) => data)
  const body = isJson(read.head) ? joinMessages(parts) : Buffer.concat(parts)
  response.writeHead(200, {
    'content-type': read.head.contentType,
    ...readFacts(read),
    ...headers,
    'content-length': body.length,
  })
  response.end(body)
}

function readFacts({ next, upToDate, head }: ReadResult): Record<string, string> {
  return {
    [NEXT_OFFSET]: formatOffset(next),
    ...(upToDate && { [UP_TO_DATE]: 'true' }),
    ...(upToDate && head.closed && { [CLOSED]: 'true' }),
  }
}

function refuseTooMany({ response }: LogRequest): void {
  refuse(response, 429, 'too many readers wait', { 'retry-after': '5' })
}
