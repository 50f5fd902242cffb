// What a body is, by its content type, and what every answer about a log says.

import type { IncomingHttpHeaders } from 'node:http'
import { splitMessages } from '../jsonMessages.ts'
import { isJson, type LogHead } from '../log.ts'
import { formatOffset } from '../offset.ts'
import { BadRequest, CLOSED, NEXT_OFFSET } from './headers.ts'
import { type LogRequest, refuse } from './LogRequest.ts'

const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:\s*;.*)?$/

/** What every answer about a log says. */
export function facts(head: LogHead): Record<string, string> {
  return {
    'content-type': head.contentType,
    [NEXT_OFFSET]: formatOffset(head.tail),
    ...(head.closed && { [CLOSED]: 'true' }),
  }
}

/** The content type that a request names. @throws BadRequest */
export function typeOf(headers: IncomingHttpHeaders): string | undefined {
  const type = headers['content-type']
  if (type === undefined || type === '') return undefined
  if (!CONTENT_TYPE.test(type) || type.length > 256) throw new BadRequest('Content-Type is no media type')
  return type
}

/** A body as units of its content type; `undefined` for none. */
export function contentOf(
  body: Uint8Array,
  contentType: string,
): { units: number; data: Uint8Array } | 'malformed' | undefined {
  if (body.length === 0) return undefined
  if (!isJson({ contentType })) return { units: body.length, data: body }
  const messages = splitMessages(body)
  if (!messages) return 'malformed'
  return messages.count === 0 ? undefined : { units: messages.count, data: messages.data }
}

/** The body did not come as it should. */
export function refuseBody({ response, routes }: LogRequest, fault: 'tooLarge' | 'cutOff'): void {
  if (fault === 'tooLarge') refuse(response, 413, `the body is larger than ${routes.maxBodyBytes} bytes`)
  else refuse(response, 400, 'the body was cut off')
}
