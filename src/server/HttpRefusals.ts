// What the backend refuses over HTTP, upgrades included, told to its log.

import type { HttpRefusal } from './readJson.ts'
import { RefusalLog, type Refused } from './refusals.ts'

export class HttpRefusals extends RefusalLog {
  /** One that no option would change (a path that is not there, a body that is no JSON) is the other side's affair. */
  tellHttp({ message, option, came }: HttpRefusal, request: Refused): void {
    if (option !== undefined) this.tell({ reason: message, option, came }, request)
  }
}
