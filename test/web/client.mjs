// client.mjs: makes a client of openapi.json (openapi-typescript), checks client.ts against its types (tsc), and runs it.
// usage: client.mjs DIRECTORY      where it may write
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));
const dir = process.argv[2];

function report(what, holds, why = '') {
	console.log(`${holds ? 'ok' : 'not ok'} - ${what}`);
	if (!holds) {
		console.log(why.replace(/^/gm, '# '));
		process.exit(1);
	}
}

const types = astToString(await openapiTS(readFileSync(join(here, '../../src/api/openapi.json'), 'utf8')));
writeFileSync(join(dir, 'api.ts'), types);
writeFileSync(join(dir, 'client.ts'), readFileSync(join(here, 'client.ts')));
writeFileSync(join(dir, 'package.json'), '{"type": "module"}');
symlinkSync(join(here, 'node_modules'), join(dir, 'node_modules'));
// Of node's own names the client uses one; the types of all of them would be another package.
writeFileSync(join(dir, 'node.d.ts'), 'declare const process: { env: Record<string, string | undefined>; exitCode: number | undefined };\n');
report('openapi-typescript makes types', types.includes('export interface paths'));

const program = ts.createProgram([join(dir, 'client.ts'), join(dir, 'node.d.ts')], {
	strict: true, noUncheckedIndexedAccess: true, noEmitOnError: true, skipLibCheck: true, types: [],
	target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
});
const { diagnostics } = program.emit();
const wrong = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
report('a program agrees with the types', wrong.length === 0, ts.formatDiagnostics(wrong, { getCanonicalFileName: (name) => name, getCurrentDirectory: () => dir, getNewLine: () => '\n' }));
await import(pathToFileURL(join(dir, 'client.js')));
