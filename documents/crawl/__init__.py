"""What a worker does with a crawl: claim, find the pages, read each, hand what has changed to ingestion, finish.

Pages are rows, found and visited: a crawl whose worker has died goes on where it stopped. A worker gives a long crawl
back now and then; which company's crawl it works on next is decided by turns (`knowrithm.turns`). A crawl always ends
completed, cancelled, or failed with its cause.
"""

from documents.crawl.begins import begin, crawl_due
from documents.crawl.ends import cancel, result_of
from documents.crawl.pages import archive_documents, restore_documents
from documents.crawl.work import run, work_in_turn

__all__ = ["archive_documents", "begin", "cancel", "crawl_due", "restore_documents", "result_of", "run", "work_in_turn"]
