// browser-report.mjs REPORT ALLOWED [strict]: reads Playwright's JSON report,
// names what was skipped, and fails as tools/testreport does for Go's tests.
import { readFileSync } from 'node:fs';

const [report, allowedFile, strict] = process.argv.slice(2);
const { stats, suites, errors } = JSON.parse(readFileSync(report, 'utf8'));
const allowed = readFileSync(allowedFile, 'utf8')
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line !== '' && !line.startsWith('#'));

const specs = (suite) => [...(suite.specs ?? []), ...(suite.suites ?? []).flatMap(specs)];
let refused = 0;
for (const spec of suites.flatMap(specs)) {
  for (const test of spec.tests.filter((t) => t.status === 'skipped')) {
    const reason = test.annotations.map((a) => a.description ?? '').join(' ');
    const fine = allowed.some((part) => reason.includes(part));
    if (!fine) refused++;
    console.error(`${fine ? 'skipped' : 'SKIPPED'} [${test.projectName}] ${spec.title}: ${reason}`);
  }
}
console.error(
  `browser: ${stats.expected} passed, ${stats.unexpected} failed, ${stats.flaky} flaky, ${stats.skipped} skipped`,
);
const bad = stats.expected === 0 || stats.unexpected > 0 || errors.length > 0 || (strict && refused > 0);
process.exit(bad ? 1 : 0);
