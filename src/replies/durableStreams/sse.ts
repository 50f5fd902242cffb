// Live reading as server-sent events: what stands in the log, then what comes, a `control` event
// behind each. Source: Durable Streams 1.0, section 5.8.

import { isJson, type LogHead, type LogRecord, mediaType } from '../log.ts'
import { formatOffset } from '../offset.ts'

const decoder = new TextDecoder()

/** Whether content travels as base64: it is neither text nor JSON. */
export function needsBase64(head: LogHead): boolean {
  return !isJson(head) && !mediaType(head.contentType).startsWith('text/')
}

/**
 * A `data` event. A line break of any kind begins a line of its own: nothing in the content can
 * end the event.
 */
export function dataEvent(head: LogHead, records: readonly LogRecord[]): string {
  if (needsBase64(head))
    return event('data', Buffer.concat(records.map(({ data }) => data)).toString('base64'))
  if (!isJson(head)) return event('data', decoder.decode(Buffer.concat(records.map(({ data }) => data))))
  const messages = records.flatMap(({ data }) => decoder.decode(data).split('\n'))
  return event('data', `[\n${messages.join(',\n')}\n]`)
}

export interface ControlFacts {
  readonly next: number
  readonly upToDate: boolean
  readonly closed: boolean
  readonly cursor: string
}

export function controlEvent({ next, upToDate, closed, cursor }: ControlFacts): string {
  return event(
    'control',
    JSON.stringify({
      streamNextOffset: formatOffset(next),
      ...(closed ? { streamClosed: true } : { streamCursor: cursor }),
      ...(upToDate && { upToDate: true }),
    }),
  )
}

function event(name: string, data: string): string {
  // A reader takes one space away behind the colon: it is put there only where the line begins
  // with one itself.
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data:${line.startsWith(' ') ? ' ' : ''}${line}\n`)
  return `event: ${name}\n${lines.join('')}\n`
}
