from django.db import models


class LeadStatus(models.TextChoices):
    NEW = "new"
    CONTACTED = "contacted"
    QUALIFIED = "qualified"
    CONVERTED = "converted"
    LOST = "lost"


class EventKind(models.TextChoices):
    STATUS = "status"
    NOTE = "note"
    MERGED = "merged"
    UNMERGED = "unmerged"
    IMPORTED = "imported"
    CREATED = "created"


class ConsentKind(models.TextChoices):
    MARKETING = "marketing"
    DATA_PROCESSING = "data_processing"


CONSENT_FIELDS = {f"consent_{kind.value}": kind for kind in ConsentKind}  # of a lead


class ImportStatus(models.TextChoices):
    CHECKED = "checked"
    RUNNING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class Encoding(models.TextChoices):
    """Of CSV files, by the names of the IANA; read as browsers read them, with what their vendors have added."""

    UTF_8 = "utf-8", "Unicode (UTF-8)"
    UTF_16 = "utf-16", "Unicode (UTF-16)"
    WINDOWS_1256 = "windows-1256", "Arabic (Windows-1256)"
    WINDOWS_1257 = "windows-1257", "Baltic (Windows-1257)"
    WINDOWS_1250 = "windows-1250", "Central European (Windows-1250)"
    ISO_8859_2 = "iso-8859-2", "Central European (ISO-8859-2)"
    GB18030 = "gb18030", "Chinese, simplified (GB18030, GBK)"
    BIG5 = "big5", "Chinese, traditional (Big5)"
    WINDOWS_1251 = "windows-1251", "Cyrillic (Windows-1251)"
    KOI8_R = "koi8-r", "Cyrillic (KOI8-R)"
    WINDOWS_1253 = "windows-1253", "Greek (Windows-1253)"
    WINDOWS_1255 = "windows-1255", "Hebrew (Windows-1255)"
    SHIFT_JIS = "shift_jis", "Japanese (Shift JIS)"
    EUC_JP = "euc-jp", "Japanese (EUC-JP)"
    EUC_KR = "euc-kr", "Korean (EUC-KR)"
    WINDOWS_874 = "windows-874", "Thai (Windows-874)"
    WINDOWS_1254 = "windows-1254", "Turkish (Windows-1254)"
    WINDOWS_1258 = "windows-1258", "Vietnamese (Windows-1258)"
    WINDOWS_1252 = "windows-1252", "Western European (Windows-1252, Latin-1)"
    ISO_8859_15 = "iso-8859-15", "Western European (ISO-8859-15)"
    MACINTOSH = "macintosh", "Western European (Macintosh)"
    IBM850 = "ibm850", "Western European (MS-DOS)"
