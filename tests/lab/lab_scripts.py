"""What a JupyterLab page is asked and told, by way of its `jupyterapp`. Needs no Playwright."""

from __future__ import annotations

KERNEL_STATUS = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
ADD_AND_RUN = """async (source) => {
  const panel = window.jupyterapp.shell.currentWidget, notebook = panel.content;
  const shared = notebook.model.sharedModel;
  const last = shared.cells.length - 1;
  let index = last;
  if (last >= 0 && shared.cells[last].getSource() === '' && shared.cells[last].cell_type === 'code') shared.cells[last].setSource(source);
  else { shared.addCell({ cell_type: 'code', source, metadata: {} }); index = last + 1; }
  while (notebook.widgets.length <= index) await new Promise((r) => setTimeout(r, 5));
  notebook.activeCellIndex = index;
  notebook.deselectAll();
  window.jupyterapp.commands.execute('notebook:run-cell');
  return index;
}"""
CELL = """(index) => {
  const cell = window.jupyterapp.shell.currentWidget.content.widgets[index];
  if (!cell) return null;
  const outputs = [];
  for (let i = 0; i < cell.model.outputs.length; i++) outputs.push(cell.model.outputs.get(i).toJSON());
  return { state: cell.model.executionState, count: cell.model.executionCount, outputs };
}"""
RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
ALL_CELLS = """() => Object.fromEntries(window.jupyterapp.shell.currentWidget.content.widgets.map((cell, index) => [index, cell.model])
  .filter(([, model]) => model.type === 'code' && model.sharedModel.getSource().trim())
  .map(([index, model]) => [index, { count: model.executionCount, outputs: model.outputs.toJSON() }]))"""
