// The Python that Debian's packages are for, where it has what the FastAPI server needs.

import { spawnSync } from 'node:child_process'

export const PYTHON = '/usr/bin/python3'

/** Whether the FastAPI server can run here. Says in one line what is skipped when it cannot. */
export function canRunFastApi(what: string): boolean {
  const can =
    spawnSync(PYTHON, ['-c', 'import fastapi, uvicorn, websockets'], { stdio: 'ignore' }).status === 0
  if (!can) {
    console.warn(`skipped: ${what} (apt-get install python3-fastapi python3-uvicorn python3-websockets)`)
  }
  return can
}
