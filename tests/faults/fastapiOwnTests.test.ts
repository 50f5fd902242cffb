// The tests that the Python server brings along, so that they are run with the rest.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { canRunFastApi, PYTHON } from './python.ts'

const TESTS = join(import.meta.dirname, '../../examples/fastapi/test_guru_v1.py')

it.skipIf(!canRunFastApi('the tests of the FastAPI server'))(
  'the FastAPI server passes its own tests',
  async () => {
    // -B: no bytecode beside the sources.
    const { stderr } = await promisify(execFile)(PYTHON, ['-B', TESTS])
    expect(stderr).toMatch(/^Ran \d+ tests in .*\n\nOK$/m)
  },
)
