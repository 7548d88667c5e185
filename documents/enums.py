from django.db import models


class DocumentStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    PROCESSED = "processed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE_STATUSES = (DocumentStatus.PENDING, DocumentStatus.PROCESSING)


class DocumentType(models.TextChoices):
    PDF = "pdf", "PDF"
    DOCX = "docx", "Word"
    PPTX = "pptx", "PowerPoint"
    XLSX = "xlsx", "Excel"
    IMAGE = "image", "Picture"
    TXT = "txt", "Text"
    MD = "md", "Markdown"
    HTML = "html", "HTML"
    CSV = "csv", "CSV"
    TSV = "tsv", "TSV"
    JSON = "json", "JSON"
    JSONL = "jsonl", "JSON Lines"
    XML = "xml", "XML"


class JobStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED_JOBS = (JobStatus.PENDING, JobStatus.PROCESSING)


class Stage(models.TextChoices):
    """Where a job is, in words for its owner."""

    WAITING = "waiting", "Waiting for a free worker"
    FETCHING = "fetching", "Fetching the page"
    EXTRACTING = "extracting", "Reading the text"
    OCR = "ocr", "Recognising scanned pages"
    EMBEDDING = "embedding", "Making it searchable"
    SAVING = "saving", "Saving"
    DONE = "done", "Done"


class CrawlMode(models.TextChoices):
    """Which pages of a site are read."""

    LINKS = "links", "Follow the links from the address"
    SITEMAP = "sitemap", "The pages of the site's sitemap"
    SINGLE = "single", "This page alone"


class SourceStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"
    CRAWLING = "crawling"
    FAILED = "failed"


class PageStatus(models.TextChoices):
    PENDING = "pending"
    CRAWLED = "crawled"
    FAILED = "failed"
    EXCLUDED = "excluded"


class CrawlStage(models.TextChoices):
    WAITING = "waiting", "Waiting for a free worker"
    CRAWLING = "crawling", "Reading the pages"
    INDEXING = "indexing", "Making the pages searchable"
    DONE = "done", "Done"


class RerankProvider(models.TextChoices):
    COHERE = "cohere", "Cohere"
    JINA = "jina", "Jina"
    VLLM = "vllm", "vLLM, or a server like it"
    TEI = "tei", "text-embeddings-inference"


class IndexState(models.TextChoices):
    """Which of an agent's or dataset's search indexes it is."""

    BUILDING = "building", "In the making"
    ANSWERING = "answering", "Answering"
    PREVIOUS = "previous", "Kept for a way back"
    RETIRED = "retired", "To be deleted"
